/* Layers as they are made, shown and deleted. */
#include "model.h"

API CreateLayer(const DriverInfo *info, const wchar_t *layer, const wchar_t *parent) {
  BEGIN("CreateLayer");
  WITH_INFO;
  record_text(&record, "parent", parent);
  if (SUCCEEDED(result) && !CreateDirectoryW(layer, NULL)) result = WIN32_RESULT(GetLastError());
  END;
}

API CreateSandboxLayer(
    const DriverInfo *info, const wchar_t *layer, UINT_PTR parent, const Descriptor *chain, UINT32 count) {
  wchar_t disk[LONG_PATH];
  BEGIN("CreateSandboxLayer");
  WITH_INFO;
  record_number(&record, "parent", parent);
  WITH_CHAIN;
  if (SUCCEEDED(result) && count == 0) result = E_INVALIDARG;
  if (SUCCEEDED(result) && !CreateDirectoryW(layer, NULL)) result = WIN32_RESULT(GetLastError());
  join(disk, layer, L"sandbox.vhdx");
  if (SUCCEEDED(result)) result = write_file(disk, "vhdxfile", 8);
  END;
}

API ExpandSandboxSize(const DriverInfo *info, const wchar_t *layer, UINT64 size) {
  BEGIN("ExpandSandboxSize");
  WITH_INFO;
  record_number(&record, "size", size);
  if (SUCCEEDED(result) && !is_sandbox(layer)) result = WIN32_RESULT(ERROR_FILE_NOT_FOUND);
  if (SUCCEEDED(result)) disk_grows(layer, size);
  END;
}

API ActivateLayer(const DriverInfo *info, const wchar_t *layer) {
  BEGIN("ActivateLayer");
  WITH_INFO;
  if (SUCCEEDED(result) && !is_directory(layer)) result = WIN32_RESULT(ERROR_PATH_NOT_FOUND);
  if (SUCCEEDED(result) && remembers(L"active", layer)) result = WIN32_RESULT(ERROR_SHARING_VIOLATION); /* [invented] */
  if (SUCCEEDED(result)) remember(L"active", layer, TRUE);
  END;
}

API DeactivateLayer(const DriverInfo *info, const wchar_t *layer) {
  BEGIN("DeactivateLayer");
  WITH_INFO;
  if (SUCCEEDED(result) && remembers(L"prepared", layer)) result = WIN32_RESULT(ERROR_BUSY);     /* [invented] */
  if (SUCCEEDED(result) && !remembers(L"active", layer)) result = WIN32_RESULT(ERROR_NOT_READY); /* [invented] */
  if (SUCCEEDED(result)) remember(L"active", layer, FALSE);
  END;
}

API PrepareLayer(const DriverInfo *info, const wchar_t *layer, const Descriptor *chain, UINT32 count) {
  BEGIN("PrepareLayer");
  WITH_INFO;
  WITH_CHAIN;
  if (SUCCEEDED(result) && !remembers(L"active", layer)) result = WIN32_RESULT(ERROR_NOT_READY); /* [invented] */
  if (SUCCEEDED(result) && is_sandbox(layer)) result = show_volume(layer, chain[0].path);
  if (SUCCEEDED(result)) remember(L"prepared", layer, TRUE);
  END;
}

API UnprepareLayer(const DriverInfo *info, const wchar_t *layer) {
  BEGIN("UnprepareLayer");
  WITH_INFO;
  if (SUCCEEDED(result)) remember(L"prepared", layer, FALSE);
  END;
}

API LayerExists(const DriverInfo *info, const wchar_t *layer, UINT32 *exists) {
  BEGIN("LayerExists");
  WITH_INFO;
  if (SUCCEEDED(result) && exists == NULL) result = E_POINTER;
  if (SUCCEEDED(result)) *exists = is_directory(layer);
  END;
}

API DestroyLayer(const DriverInfo *info, const wchar_t *layer) {
  BEGIN("DestroyLayer");
  WITH_INFO;
  if (SUCCEEDED(result)) result = destroy_layer(layer);
  END;
}

API GetLayerMountPath(const DriverInfo *info, const wchar_t *layer, SIZE_T *length, wchar_t *buffer) {
  wchar_t path[LONG_PATH];
  BEGIN("GetLayerMountPath");
  WITH_INFO;
  record_number(&record, "room", length != NULL && buffer != NULL ? *length : 0);
  if (SUCCEEDED(result) && length == NULL) result = E_POINTER;
  if (SUCCEEDED(result) && !is_directory(layer)) result = WIN32_RESULT(ERROR_PATH_NOT_FOUND);
  if (SUCCEEDED(result)) {
    if (is_sandbox(layer)) volume_of(layer, path);
    else wcscpy(path, layer);
    SIZE_T needed = wcslen(path) + 1;
    if (buffer != NULL && *length < needed) result = WIN32_RESULT(ERROR_INSUFFICIENT_BUFFER);
    else if (buffer != NULL) wcscpy(buffer, path);
    *length = needed;
  }
  END;
}

API NameToGuid(const wchar_t *name, GUID *guid) {
  BEGIN("NameToGuid");
  record_text(&record, "name", name);
  if (SUCCEEDED(result) && guid == NULL) result = E_POINTER;
  if (SUCCEEDED(result)) guid_of(name, guid);
  END;
}

API HcsEnumerateComputeSystems(const wchar_t *query, wchar_t **systems, wchar_t **answer) {
  BEGIN("HcsEnumerateComputeSystems");
  record_text(&record, "query", query);
  if (SUCCEEDED(result) && systems == NULL) result = E_POINTER;
  if (answer != NULL) *answer = NULL;
  if (SUCCEEDED(result)) {
    *systems = CoTaskMemAlloc(3 * sizeof(wchar_t));
    wcscpy(*systems, L"[]");
  }
  END;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD why, void *reserved) {
  (void)instance;
  (void)reserved;
  if (why == DLL_PROCESS_ATTACH) {
    install_backup();
    install_volumes();
  }
  return TRUE;
}
