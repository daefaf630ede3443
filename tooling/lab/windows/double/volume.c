/* Disks and the volumes on them: how large they are, and the codes of DeviceIoControl that ask and change that. */
#include "model.h"
#include <winioctl.h>
#include <winternl.h>

#ifndef FSCTL_EXTEND_VOLUME
#define FSCTL_EXTEND_VOLUME 0x000900f0
#endif

/* [invented] Of a sandbox that nobody made larger. */
#define DEFAULT_SIZE (20ULL << 30)

void disk_grows(const wchar_t *layer, UINT64 bytes) {
  wchar_t path[LONG_PATH];
  memory_path(path, L"sizes", layer);
  write_file(path, &bytes, sizeof bytes);
}

/* The folder that an open file, a disk or a volume, is in. */
BOOL layer_of_disk(HANDLE disk, wchar_t *layer) {
  DWORD length = GetFinalPathNameByHandleW(disk, layer, LONG_PATH, 0);
  if (length == 0 || length >= LONG_PATH) return FALSE;
  if (wcsncmp(layer, L"\\\\?\\", 4) == 0) memmove(layer, layer + 4, (wcslen(layer) - 3) * sizeof(wchar_t));
  wchar_t *split = wcsrchr(layer, '\\');
  if (split == NULL) return FALSE;
  *split = 0;
  return TRUE;
}

static BOOL answer(const char *name, HANDLE volume, const INT64 *from, DWORD fromLength, INT64 *into, DWORD intoLength) {
  wchar_t layer[LONG_PATH] = L"", path[LONG_PATH];
  DWORD length = 0;
  BEGIN(name);
  if (!layer_of_disk(volume, layer) && SUCCEEDED(result)) result = WIN32_RESULT(ERROR_INVALID_HANDLE);
  record_text(&record, "layer", layer);
  if (SUCCEEDED(result) && !remembers(L"active", layer)) result = WIN32_RESULT(ERROR_NOT_READY);
  if (from != NULL) record_number(&record, "sectors", *from);
  if (SUCCEEDED(result) && (from != NULL ? fromLength : intoLength) != sizeof(INT64)) result = E_INVALIDARG;
  if (SUCCEEDED(result) && into != NULL) {
    memory_path(path, L"sizes", layer);
    UINT64 *size = read_file(path, &length);
    *into = length == sizeof *size ? *size : DEFAULT_SIZE;
    free(size);
  }
  result = record_end(&record, result);
  if (FAILED(result)) SetLastError(HRESULT_CODE(result));
  return SUCCEEDED(result);
}

typedef NTSTATUS(NTAPI *Control)(HANDLE, HANDLE, void *, void *, IO_STATUS_BLOCK *, ULONG, void *, ULONG, void *, ULONG);

static BOOL WINAPI device_io_control(
    HANDLE handle, DWORD code, void *from, DWORD fromLength, void *into, DWORD intoLength, DWORD *returned,
    OVERLAPPED *overlapped) {
  if (code == IOCTL_DISK_GET_LENGTH_INFO) {
    *returned = sizeof(INT64);
    return answer("IOCTL_DISK_GET_LENGTH_INFO", handle, NULL, 0, into, intoLength);
  }
  if (code == FSCTL_EXTEND_VOLUME) {
    *returned = 0;
    return answer("FSCTL_EXTEND_VOLUME", handle, from, fromLength, NULL, 0);
  }
  const char *name = DEVICE_TYPE_FROM_CTL_CODE(code) == FILE_DEVICE_FILE_SYSTEM ? "NtFsControlFile" : "NtDeviceIoControlFile";
  Control control = (Control)(void *)GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
  IO_STATUS_BLOCK local = {0}, *status = overlapped == NULL ? &local : (IO_STATUS_BLOCK *)overlapped;
  HANDLE event = overlapped == NULL ? NULL : overlapped->hEvent;
  void *context = event == NULL || (ULONG_PTR)event & 1 ? NULL : overlapped;
  if (overlapped != NULL) overlapped->Internal = STATUS_PENDING;
  NTSTATUS done = control(handle, event, NULL, context, status, code, from, fromLength, into, intoLength);
  if (returned != NULL && done >= 0) *returned = (DWORD)status->Information;
  if (done == 0) return TRUE;
  SetLastError(RtlNtStatusToDosError(done));
  return FALSE;
}

void install_volumes(void) {
  replace_function("DeviceIoControl", (void *)device_io_control);
}
