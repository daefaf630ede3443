/*
 * Virtual disks, as virtdisk.dll has them. One that is attached is an active layer; without a permanent lifetime only for
 * as long as the handle is open.
 */
#include "model.h"
#include <virtdisk.h>
#include <winternl.h>

#define END_DISK return HRESULT_CODE(record_end(&record, result))

EXPORT DWORD WINAPI OpenVirtualDisk(
    PVIRTUAL_STORAGE_TYPE type, PCWSTR path, VIRTUAL_DISK_ACCESS_MASK access, OPEN_VIRTUAL_DISK_FLAG flags,
    POPEN_VIRTUAL_DISK_PARAMETERS parameters, PHANDLE handle) {
  BEGIN("OpenVirtualDisk");
  record_text(&record, "path", path);
  record_number(&record, "device", type == NULL ? ~0ULL : type->DeviceId);
  record_number(&record, "access", access);
  record_number(&record, "flags", flags);
  record_number(&record, "version", parameters == NULL ? 0 : parameters->Version);
  if (SUCCEEDED(result)) {
    *handle = CreateFileW(path, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
    if (*handle == INVALID_HANDLE_VALUE) result = WIN32_RESULT(GetLastError());
  }
  END_DISK;
}

#define TEMPORARIES 64
static HANDLE temporaries[TEMPORARIES];

/* Puts a handle in the place of another. */
static BOOL swap_temporary(HANDLE from, HANDLE to) {
  for (int index = 0; index < TEMPORARIES; index++)
    if (InterlockedCompareExchangePointer(&temporaries[index], to, from) == from) return TRUE;
  return FALSE;
}

static BOOL WINAPI close_handle(HANDLE handle) {
  wchar_t layer[LONG_PATH];
  if (handle != NULL && swap_temporary(handle, NULL) && layer_of_disk(handle, layer)) remember(L"active", layer, FALSE);
  NTSTATUS status = NtClose(handle);
  if (status < 0) SetLastError(RtlNtStatusToDosError(status));
  return status >= 0;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD why, void *reserved) {
  (void)instance;
  (void)reserved;
  if (why == DLL_PROCESS_ATTACH) replace_function("CloseHandle", (void *)close_handle);
  return TRUE;
}

static void record_disk(Record *record, HANDLE disk, wchar_t *layer, HRESULT *result) {
  if (!layer_of_disk(disk, layer)) {
    *result = WIN32_RESULT(ERROR_INVALID_HANDLE);
    wcscpy(layer, L"");
  }
  record_text(record, "layer", layer);
}

EXPORT DWORD WINAPI AttachVirtualDisk(
    HANDLE disk, PSECURITY_DESCRIPTOR security, ATTACH_VIRTUAL_DISK_FLAG flags, ULONG provider,
    PATTACH_VIRTUAL_DISK_PARAMETERS parameters, LPOVERLAPPED overlapped) {
  wchar_t layer[LONG_PATH], volume[LONG_PATH];
  BEGIN("AttachVirtualDisk");
  record_disk(&record, disk, layer, &result);
  record_number(&record, "flags", flags);
  record_number(&record, "version", parameters == NULL ? 0 : parameters->Version);
  if (SUCCEEDED(result) && (security != NULL || provider != 0 || overlapped != NULL)) result = E_INVALIDARG;
  if (SUCCEEDED(result) && remembers(L"active", layer)) result = WIN32_RESULT(ERROR_SHARING_VIOLATION); /* [invented] */
  volume_of(layer, volume);
  if (SUCCEEDED(result)) result = make_directories(volume);
  if (SUCCEEDED(result) && !(flags & ATTACH_VIRTUAL_DISK_FLAG_PERMANENT_LIFETIME)) swap_temporary(NULL, disk);
  if (SUCCEEDED(result)) remember(L"active", layer, TRUE);
  END_DISK;
}

EXPORT DWORD WINAPI DetachVirtualDisk(HANDLE disk, DETACH_VIRTUAL_DISK_FLAG flags, ULONG provider) {
  wchar_t layer[LONG_PATH];
  BEGIN("DetachVirtualDisk");
  record_disk(&record, disk, layer, &result);
  record_number(&record, "flags", flags);
  record_number(&record, "provider", provider);
  if (SUCCEEDED(result) && remembers(L"prepared", layer)) result = WIN32_RESULT(ERROR_BUSY);     /* [invented] */
  if (SUCCEEDED(result) && !remembers(L"active", layer)) result = WIN32_RESULT(ERROR_NOT_READY); /* [invented] */
  if (SUCCEEDED(result)) {
    swap_temporary(disk, NULL);
    remember(L"active", layer, FALSE);
  }
  END_DISK;
}

EXPORT DWORD WINAPI GetVirtualDiskPhysicalPath(HANDLE disk, PULONG bytes, PWSTR path) {
  static const wchar_t drive[] = L"\\\\.\\PhysicalDrive1";
  wchar_t layer[LONG_PATH];
  BEGIN("GetVirtualDiskPhysicalPath");
  record_disk(&record, disk, layer, &result);
  if (SUCCEEDED(result) && !remembers(L"active", layer)) result = WIN32_RESULT(ERROR_DEV_NOT_EXIST);
  if (SUCCEEDED(result) && *bytes < sizeof drive) result = WIN32_RESULT(ERROR_INSUFFICIENT_BUFFER);
  if (SUCCEEDED(result)) wcscpy(path, drive);
  *bytes = sizeof drive;
  END_DISK;
}

EXPORT DWORD WINAPI ExpandVirtualDisk(
    HANDLE disk, EXPAND_VIRTUAL_DISK_FLAG flags, PEXPAND_VIRTUAL_DISK_PARAMETERS parameters, LPOVERLAPPED overlapped) {
  wchar_t layer[LONG_PATH];
  BEGIN("ExpandVirtualDisk");
  record_disk(&record, disk, layer, &result);
  record_number(&record, "version", parameters->Version);
  record_number(&record, "size", parameters->Version1.NewSize);
  if (SUCCEEDED(result) && (flags != 0 || overlapped != NULL || parameters->Version != 1)) result = E_INVALIDARG;
  if (SUCCEEDED(result)) disk_grows(layer, parameters->Version1.NewSize);
  END_DISK;
}
