/* Layers out of the form in which they are on their way: 4 bytes of attributes, then the streams of a backup. */
#include "model.h"

/* Finds the data of a file in that form; FALSE for what is not in it. */
static BOOL data_of(const BYTE *bytes, DWORD length, const BYTE **data, DWORD *size) {
  *data = NULL;
  *size = 0;
  if (length < 4) return FALSE;
  for (DWORD at = 4; at < length;) {
    DWORD id, name;
    UINT64 bytesOfStream;
    if (length - at < 20) return FALSE;
    memcpy(&id, bytes + at, 4);
    memcpy(&bytesOfStream, bytes + at + 8, 8);
    memcpy(&name, bytes + at + 16, 4);
    if (id < 1 || id > 10 || name % 2 != 0 || (name > 0 && id != 4) || bytesOfStream > length - at - 20 - name) return FALSE;
    if (id == 1) {
      *data = bytes + at + 20 + name;
      *size = (DWORD)bytesOfStream;
    }
    at += 20 + name + (DWORD)bytesOfStream;
  }
  return TRUE;
}

typedef struct {
  const wchar_t *layer;
  Record *record;
} Import;

static HRESULT import_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  Import *import = context;
  wchar_t visible[LONG_PATH], kept[LONG_PATH], beside[LONG_PATH];
  BOOL isBelow = _wcsnicmp(relative, L"Files\\", 6) == 0;
  join(visible, import->layer, relative);
  swprintf(kept, LONG_PATH, L"%ls\\.double\\%ls", import->layer, relative);
  if (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) {
    swprintf(beside, LONG_PATH, L"%ls%ls", path, companion);
    if (isBelow && !is_there(beside)) goto invalid;
    /* A directory takes the place of a file. */
    if (is_there(visible) && !is_directory(visible)) DeleteFileW(visible);
    if (is_there(kept) && !is_directory(kept)) DeleteFileW(kept);
    HRESULT made = make_directories(visible);
    return FAILED(made) ? made : make_directories(kept);
  }
  if (!isBelow) {
    HRESULT copied = copy_file(path, visible);
    return FAILED(copied) ? copied : copy_file(path, kept);
  }
  DWORD length, size;
  const BYTE *data;
  BYTE *bytes = read_file(path, &length);
  if (bytes == NULL || !data_of(bytes, length, &data, &size)) {
    free(bytes);
    goto invalid;
  }
  HRESULT result = S_OK;
  if (!ends_with(relative, companion)) {
    if (is_directory(visible)) result = remove_tree(visible);
    if (SUCCEEDED(result) && is_directory(kept)) {
      wchar_t old[LONG_PATH];
      swprintf(old, LONG_PATH, L"%ls%ls", kept, companion);
      DeleteFileW(old);
      result = remove_tree(kept);
    }
    if (SUCCEEDED(result)) result = write_file(visible, data, size);
    copy_times(path, visible);
  }
  if (SUCCEEDED(result)) result = copy_file(path, kept);
  free(bytes);
  return result;
invalid:
  record_text(import->record, "invalid", relative);
  return WIN32_RESULT(ERROR_INVALID_DATA);
}

/* Those of a directory are those of the file beside it. */
static HRESULT import_times(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *layer) {
  wchar_t visible[LONG_PATH];
  (void)found;
  if (!ends_with(relative, companion)) return S_OK;
  join(visible, layer, relative);
  visible[wcslen(visible) - wcslen(companion)] = 0;
  copy_times(path, visible);
  return S_OK;
}

HRESULT import_layer(const wchar_t *layer, const wchar_t *folder, const wchar_t *nearest, Record *record) {
  wchar_t below[LONG_PATH], own[LONG_PATH];
  const wchar_t *parts[] = {L"Files", L".double"};
  if (!is_directory(layer)) return E_INVALIDARG;
  HRESULT result = reconcile(nearest);
  for (int index = 0; index < 2 && SUCCEEDED(result); index++) {
    join(below, nearest, parts[index]);
    join(own, layer, parts[index]);
    result = copy_tree(below, own);
  }
  Import import = {layer, record};
  if (SUCCEEDED(result)) result = walk_tree(folder, import_visit, &import);
  return SUCCEEDED(result) ? walk_tree(folder, import_times, (void *)layer) : result;
}
