/* Layers on their way, as vmcompute.dll has them: into folders and out of them. */
#include "model.h"

API ImportLayer(
    const DriverInfo *info, const wchar_t *layer, const wchar_t *folder, const Descriptor *chain, UINT32 count) {
  BEGIN("ImportLayer");
  WITH_INFO;
  record_text(&record, "folder", folder);
  WITH_CHAIN;
  if (SUCCEEDED(result)) result = count == 0 ? E_INVALIDARG : import_layer(layer, folder, chain[0].path, &record);
  END;
}

API ExportLayer(
    const DriverInfo *info, const wchar_t *layer, const wchar_t *folder, const Descriptor *chain, UINT32 count) {
  BEGIN("ExportLayer");
  WITH_INFO;
  record_text(&record, "folder", folder);
  WITH_CHAIN;
  if (SUCCEEDED(result)) result = count == 0 ? E_INVALIDARG : export_layer(layer, folder, chain[0].path);
  END;
}

/* ---- base layers, which are written file by file ---- */

static HRESULT process_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  wchar_t to[LONG_PATH];
  DWORD attributes = found->dwFileAttributes, sideLength = 0, dataLength = 0;
  BOOL isDirectory = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  swprintf(to, LONG_PATH, L"%ls\\.double\\Files\\%ls", (const wchar_t *)context, relative);
  HRESULT result = isDirectory ? make_directories(to) : S_OK;
  if (isDirectory) wcscat(to, companion);
  BYTE *side = side_streams(path, &sideLength), *data = isDirectory ? NULL : read_file(path, &dataLength);
  DWORD head = data == NULL ? 0 : 20, length = 4 + sideLength + head + dataLength;
  BYTE *bytes = calloc(1, length);
  memcpy(bytes, &attributes, 4);
  if (side != NULL) memcpy(bytes + 4, side, sideLength);
  if (data != NULL) {
    bytes[4 + sideLength] = 1;
    memcpy(bytes + 4 + sideLength + 8, &dataLength, 4);
    memcpy(bytes + 4 + sideLength + 20, data, dataLength);
  }
  if (SUCCEEDED(result)) result = write_file(to, bytes, length);
  free(bytes);
  free(side);
  free(data);
  return result;
}

API ProcessBaseImage(const wchar_t *folder) {
  wchar_t files[LONG_PATH], path[LONG_PATH];
  BEGIN("ProcessBaseImage");
  record_text(&record, "folder", folder);
  join(files, folder, L"Files");
  if (SUCCEEDED(result) && !is_directory(files)) result = WIN32_RESULT(ERROR_PATH_NOT_FOUND);
  join(path, folder, L".double\\Files");
  if (SUCCEEDED(result)) result = make_directories(path);
  if (SUCCEEDED(result)) result = walk_tree(files, process_visit, (void *)folder);
  for (int index = 0; index < 2 && SUCCEEDED(result); index++) {
    join(path, folder, index == 0 ? L"blank.vhdx" : L"blank-base.vhdx");
    result = write_file(path, "vhdxfile", 8);
  }
  END;
}

API ProcessUtilityImage(const wchar_t *folder) {
  wchar_t path[LONG_PATH];
  BEGIN("ProcessUtilityImage");
  record_text(&record, "folder", folder);
  join(path, folder, L"Files");
  if (SUCCEEDED(result) && !is_directory(path)) result = WIN32_RESULT(ERROR_PATH_NOT_FOUND);
  join(path, folder, L"SystemTemplate.vhdx");
  if (SUCCEEDED(result)) result = write_file(path, "vhdxfile", 8);
  END;
}
