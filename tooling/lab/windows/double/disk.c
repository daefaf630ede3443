/* The two calls of virtdisk.dll by which a disk is taken off. */
#include "double.h"
#include <virtdisk.h>

EXPORT DWORD WINAPI OpenVirtualDisk(
    PVIRTUAL_STORAGE_TYPE type, PCWSTR path, VIRTUAL_DISK_ACCESS_MASK access, OPEN_VIRTUAL_DISK_FLAG flags,
    POPEN_VIRTUAL_DISK_PARAMETERS parameters, PHANDLE handle) {
  Record record;
  record_begin(&record, "OpenVirtualDisk");
  record_text(&record, "path", path);
  record_number(&record, "device", type == NULL ? ~0ULL : type->DeviceId);
  record_number(&record, "access", access);
  record_number(&record, "flags", flags);
  record_number(&record, "version", parameters == NULL ? 0 : parameters->Version);
  *handle = CreateFileW(path, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
  DWORD result = *handle == INVALID_HANDLE_VALUE ? GetLastError() : 0;
  record_end(&record, result);
  return result;
}

EXPORT DWORD WINAPI DetachVirtualDisk(HANDLE handle, DETACH_VIRTUAL_DISK_FLAG flags, ULONG provider) {
  Record record;
  record_begin(&record, "DetachVirtualDisk");
  record_number(&record, "flags", flags);
  record_number(&record, "provider", provider);
  record_end(&record, handle == NULL);
  return handle == NULL ? ERROR_INVALID_HANDLE : 0;
}
