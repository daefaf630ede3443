/* Layers as computestorage.dll has them: the layers below are a text, and sandboxes are virtual disks. */
#include "model.h"

#define HEAD L"{\"SchemaVersion\":{\"Major\":2,\"Minor\":1},\"Layers\":["

/* Follows a text, or fails. */
static BOOL takes(const wchar_t **at, const wchar_t *text) {
  size_t length = wcslen(text);
  if (wcsncmp(*at, text, length) != 0) return FALSE;
  *at += length;
  return TRUE;
}

/* A string of JSON, after its first quote. */
static BOOL take_string(const wchar_t **at, wchar_t *into) {
  size_t length = 0;
  for (; **at != '"'; (*at)++) {
    if (**at == 0 || length + 1 >= LONG_PATH) return FALSE;
    if (**at == '\\' && *++*at != '\\' && **at != '"') return FALSE;
    into[length++] = **at;
  }
  into[length] = 0;
  (*at)++;
  return TRUE;
}

/* The first of the layers below. */
static HRESULT check_data(const wchar_t *data, wchar_t *nearest) {
  wchar_t id[LONG_PATH], path[LONG_PATH], braced[64];
  GUID guid;
  const wchar_t *at = data;
  *nearest = 0;
  if (at == NULL || !takes(&at, HEAD)) return E_INVALIDARG;
  for (BOOL first = TRUE; !takes(&at, L"]}"); first = FALSE) {
    if (!first && !takes(&at, L",")) return E_INVALIDARG;
    if (!takes(&at, L"{\"Id\":\"") || !take_string(&at, id) || !takes(&at, L",\"Path\":\"") || !take_string(&at, path) ||
        !takes(&at, L"}"))
      return E_INVALIDARG;
    swprintf(braced, 64, L"{%ls}", id);
    if (wcslen(id) != 36 || FAILED(CLSIDFromString(braced, &guid))) return E_INVALIDARG;
    HRESULT result = check_descriptor(&guid, path);
    if (FAILED(result)) return result;
    if (first) wcscpy(nearest, path);
  }
  return *at == 0 && *nearest != 0 ? S_OK : E_INVALIDARG;
}

#define WITH_DATA                                                                                                      \
  wchar_t nearest[LONG_PATH];                                                                                          \
  record_text(&record, "data", data);                                                                                  \
  if (SUCCEEDED(result)) result = check_data(data, nearest)

/* The layer whose volume this is. */
static HRESULT layer_of_volume(const wchar_t *volume, wchar_t *layer) {
  wchar_t own[LONG_PATH];
  if (volume == NULL || wcslen(volume) >= LONG_PATH) return E_INVALIDARG;
  wcscpy(layer, volume);
  wchar_t *split = wcsrchr(layer, '\\');
  if (split == NULL) return E_INVALIDARG;
  *split = 0;
  volume_of(layer, own);
  if (wcscmp(own, volume) != 0 || !is_sandbox(layer)) return E_INVALIDARG;
  return remembers(L"active", layer) ? S_OK : WIN32_RESULT(ERROR_NOT_READY);
}

#define WITH_VOLUME                                                                                                    \
  wchar_t owner[LONG_PATH];                                                                                            \
  record_text(&record, "volume", volume);                                                                              \
  if (SUCCEEDED(result)) result = layer_of_volume(volume, owner)

API HcsImportLayer(const wchar_t *layer, const wchar_t *folder, const wchar_t *data) {
  BEGIN("HcsImportLayer");
  record_text(&record, "layer", layer);
  record_text(&record, "folder", folder);
  WITH_DATA;
  if (SUCCEEDED(result)) result = import_layer(layer, folder, nearest, &record);
  END;
}

API HcsExportLayer(const wchar_t *layer, const wchar_t *folder, const wchar_t *data, const wchar_t *options) {
  BEGIN("HcsExportLayer");
  record_text(&record, "layer", layer);
  record_text(&record, "folder", folder);
  record_text(&record, "options", options);
  WITH_DATA;
  if (SUCCEEDED(result) && (is_sandbox(layer) || options == NULL || wcscmp(options, L"{}") != 0)) result = E_INVALIDARG;
  if (SUCCEEDED(result)) result = export_layer(layer, folder, nearest);
  END;
}

API HcsExportLegacyWritableLayer(
    const wchar_t *volume, const wchar_t *layer, const wchar_t *folder, const wchar_t *data) {
  BEGIN("HcsExportLegacyWritableLayer");
  record_text(&record, "layer", layer);
  record_text(&record, "folder", folder);
  WITH_VOLUME;
  WITH_DATA;
  if (SUCCEEDED(result) && wcscmp(owner, layer) != 0) result = E_INVALIDARG;
  if (SUCCEEDED(result)) result = export_layer(layer, folder, nearest);
  END;
}

API HcsDestroyLayer(const wchar_t *layer) {
  BEGIN("HcsDestroyLayer");
  record_text(&record, "layer", layer);
  if (SUCCEEDED(result)) result = destroy_layer(layer);
  END;
}

API HcsInitializeLegacyWritableLayer(
    const wchar_t *volume, const wchar_t *layer, const wchar_t *data, const wchar_t *options) {
  BEGIN("HcsInitializeLegacyWritableLayer");
  record_text(&record, "layer", layer);
  record_text(&record, "options", options);
  WITH_VOLUME;
  WITH_DATA;
  if (SUCCEEDED(result) && (wcscmp(owner, layer) != 0 || was_shown(layer))) result = E_INVALIDARG;
  if (SUCCEEDED(result)) result = show_volume(layer, nearest);
  END;
}

API HcsAttachLayerStorageFilter(const wchar_t *volume, const wchar_t *data) {
  BEGIN("HcsAttachLayerStorageFilter");
  WITH_VOLUME;
  WITH_DATA;
  if (SUCCEEDED(result) && !was_shown(owner)) result = WIN32_RESULT(ERROR_NOT_READY);                    /* [invented] */
  if (SUCCEEDED(result) && remembers(L"prepared", owner)) result = WIN32_RESULT(ERROR_SHARING_VIOLATION); /* [invented] */
  if (SUCCEEDED(result)) remember(L"prepared", owner, TRUE);
  END;
}

API HcsDetachLayerStorageFilter(const wchar_t *volume) {
  BEGIN("HcsDetachLayerStorageFilter");
  WITH_VOLUME;
  if (SUCCEEDED(result)) remember(L"prepared", owner, FALSE);
  END;
}

API HcsGetLayerVhdMountPath(HANDLE disk, wchar_t **path) {
  wchar_t layer[LONG_PATH] = L"", volume[LONG_PATH];
  BEGIN("HcsGetLayerVhdMountPath");
  if (!layer_of_disk(disk, layer) && SUCCEEDED(result)) result = WIN32_RESULT(ERROR_INVALID_HANDLE);
  record_text(&record, "layer", layer);
  if (SUCCEEDED(result) && !remembers(L"active", layer)) result = WIN32_RESULT(ERROR_NOT_READY);
  if (SUCCEEDED(result)) {
    volume_of(layer, volume);
    *path = CoTaskMemAlloc((wcslen(volume) + 1) * sizeof(wchar_t));
    wcscpy(*path, volume);
  }
  END;
}
