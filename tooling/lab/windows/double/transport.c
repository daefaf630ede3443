/* Layers on their way: into folders and out of them. */
#include "model.h"

/* ---- the form of layers on their way: 4 bytes of attributes, then the streams of a backup ---- */

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

API ImportLayer(
    const DriverInfo *info, const wchar_t *layer, const wchar_t *folder, const Descriptor *chain, UINT32 count) {
  wchar_t below[LONG_PATH], own[LONG_PATH];
  BEGIN("ImportLayer");
  WITH_INFO;
  record_text(&record, "folder", folder);
  WITH_CHAIN;
  if (SUCCEEDED(result) && (count == 0 || !is_directory(layer))) result = E_INVALIDARG;
  const wchar_t *parts[] = {L"Files", L".double"};
  if (SUCCEEDED(result)) result = reconcile(chain[0].path);
  for (int index = 0; index < 2 && SUCCEEDED(result); index++) {
    join(below, chain[0].path, parts[index]);
    join(own, layer, parts[index]);
    result = copy_tree(below, own);
  }
  Import import = {layer, &record};
  if (SUCCEEDED(result)) result = walk_tree(folder, import_visit, &import);
  if (SUCCEEDED(result)) result = walk_tree(folder, import_times, (void *)layer);
  END;
}

/* ---- export ---- */

typedef struct {
  /* The layer below, where it goes, whose directories' streams are told, and where the files are. */
  const wchar_t *base, *target, *layer, *files;
  HANDLE tombstones;
  /* Folders of a volume have no metadata but their attributes. */
  BOOL isVolume;
} Export;

/* Directories above, with what the layer below says of them. */
static HRESULT export_parents(Export *export, const wchar_t *relative) {
  wchar_t above[LONG_PATH], to[LONG_PATH], from[LONG_PATH];
  wcscpy(above, relative);
  wchar_t *split = wcsrchr(above, '\\');
  if (split == NULL) return S_OK;
  *split = 0;
  HRESULT result = export_parents(export, above);
  swprintf(to, LONG_PATH, L"%ls\\Files\\%ls", export->target, above);
  if (FAILED(result) || is_directory(to)) return result;
  result = make_directories(to);
  wcscat(to, companion);
  swprintf(from, LONG_PATH, L"%ls\\.double\\Files\\%ls%ls", export->layer, above, companion);
  if (FAILED(result)) return result;
  DWORD attributes = FILE_ATTRIBUTE_DIRECTORY;
  result = is_there(from) ? copy_file(from, to) : write_file(to, &attributes, 4);
  join(from, export->files, above);
  copy_times(from, to);
  return result;
}

static BOOL same_content(const wchar_t *a, const wchar_t *b) {
  DWORD lengths[2] = {0, 0};
  BYTE *left = read_file(a, &lengths[0]), *right = read_file(b, &lengths[1]);
  BOOL same = left != NULL && right != NULL && lengths[0] == lengths[1] && memcmp(left, right, lengths[0]) == 0;
  free(left);
  free(right);
  return same;
}

/* Of a volume: files that are new or have other content or attributes. */
static HRESULT volume_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  Export *export = context;
  wchar_t below[LONG_PATH], to[LONG_PATH];
  DWORD attributes = found->dwFileAttributes, length = 0;
  swprintf(below, LONG_PATH, L"%ls\\Files\\%ls", export->base, relative);
  BOOL isDirectory = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  if (isDirectory && is_directory(below)) {
    WIN32_FILE_ATTRIBUTE_DATA theirs;
    if (GetFileAttributesExW(below, GetFileExInfoStandard, &theirs) &&
        CompareFileTime(&theirs.ftLastWriteTime, &found->ftLastWriteTime) == 0)
      return S_OK;
    swprintf(to, LONG_PATH, L"%ls\\x", relative);
    return export_parents(export, to);
  }
  if (!isDirectory && is_there(below) && !is_directory(below) && GetFileAttributesW(below) == attributes && same_content(path, below))
    return S_OK;
  HRESULT result = export_parents(export, relative);
  if (FAILED(result)) return result;
  swprintf(to, LONG_PATH, L"%ls\\Files\\%ls", export->target, relative);
  if (isDirectory) {
    result = make_directories(to);
    wcscat(to, companion);
    if (SUCCEEDED(result)) result = write_file(to, &attributes, 4);
    copy_times(path, to);
    return result;
  }
  BYTE *data = read_file(path, &length), *bytes = calloc(1, (size_t)length + 24);
  memcpy(bytes, &attributes, 4);
  bytes[4] = 1;
  memcpy(bytes + 12, &length, 4);
  if (data != NULL) memcpy(bytes + 24, data, length);
  result = write_file(to, bytes, length + 24);
  copy_times(path, to);
  free(bytes);
  free(data);
  return result;
}

/* Of an image layer: all that it has in another form than the layer below. */
static HRESULT image_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  Export *export = context;
  wchar_t below[LONG_PATH], to[LONG_PATH];
  if (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) return S_OK;
  swprintf(below, LONG_PATH, L"%ls\\.double\\Files\\%ls", export->base, relative);
  if (is_there(below) && same_content(path, below)) return S_OK;
  HRESULT result = export_parents(export, relative);
  swprintf(to, LONG_PATH, L"%ls\\Files\\%ls", export->target, relative);
  if (FAILED(result)) return result;
  if (ends_with(to, companion)) {
    wchar_t directory[LONG_PATH];
    wcscpy(directory, to);
    directory[wcslen(directory) - wcslen(companion)] = 0;
    result = make_directories(directory);
  }
  return FAILED(result) ? result : copy_file(path, to);
}

static HRESULT tombstone_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  Export *export = context;
  wchar_t ours[LONG_PATH];
  char line[LONG_PATH * 3];
  DWORD written;
  (void)path;
  if (export->isVolume) join(ours, export->layer, relative);
  else swprintf(ours, LONG_PATH, L"%ls\\Files\\%ls", export->layer, relative);
  if (is_there(ours)) return found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY && !is_directory(ours) ? S_FALSE : S_OK;
  int length = WideCharToMultiByte(CP_UTF8, 0, relative, -1, line + 1, sizeof line - 3, NULL, NULL);
  line[0] = '\\';
  line[length] = '\n';
  WriteFile(export->tombstones, line, length + 1, &written, NULL);
  return S_FALSE;
}

static HRESULT export_hives(Export *export, const wchar_t *layer) {
  wchar_t from[LONG_PATH], to[LONG_PATH];
  join(to, export->target, L"Hives");
  HRESULT result = make_directories(to);
  swprintf(from, LONG_PATH, L"%ls\\.double\\Hives", layer);
  if (SUCCEEDED(result) && is_directory(from)) result = copy_tree(from, to);
  wcscat(to, L"\\System_Delta");
  return SUCCEEDED(result) && !is_there(to) ? write_file(to, "", 0) : result;
}

API ExportLayer(
    const DriverInfo *info, const wchar_t *layer, const wchar_t *folder, const Descriptor *chain, UINT32 count) {
  static const char head[] = "\xef\xbb\xbfVersion 1.0\n";
  wchar_t path[LONG_PATH], volume[LONG_PATH], own[LONG_PATH];
  DWORD written;
  BEGIN("ExportLayer");
  WITH_INFO;
  record_text(&record, "folder", folder);
  WITH_CHAIN;
  if (SUCCEEDED(result) && (count == 0 || !is_directory(folder))) result = E_INVALIDARG;
  if (SUCCEEDED(result) && remembers(L"prepared", layer)) result = WIN32_RESULT(ERROR_SHARING_VIOLATION); /* [invented] */
  if (SUCCEEDED(result) && is_sandbox(layer) && !remembers(L"active", layer))
    result = WIN32_RESULT(ERROR_NOT_READY); /* [invented] */
  if (SUCCEEDED(result)) result = reconcile(chain[0].path);
  if (SUCCEEDED(result) && !is_sandbox(layer)) result = reconcile(layer);
  if (SUCCEEDED(result)) {
    volume_of(layer, volume);
    join(own, layer, L"Files");
    Export export = {chain[0].path, folder, layer, is_sandbox(layer) ? volume : own, INVALID_HANDLE_VALUE, is_sandbox(layer)};
    join(path, folder, L"Files");
    result = make_directories(path);
    if (SUCCEEDED(result)) result = export_hives(&export, layer);
    join(path, folder, L"tombstones.txt");
    export.tombstones = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    WriteFile(export.tombstones, head, sizeof head - 1, &written, NULL);
    if (export.isVolume) {
      export.layer = chain[0].path;
      if (SUCCEEDED(result)) result = walk_tree(volume, volume_visit, &export);
      export.layer = volume;
    } else {
      swprintf(path, LONG_PATH, L"%ls\\.double\\Files", layer);
      if (SUCCEEDED(result)) result = walk_tree(path, image_visit, &export);
    }
    join(path, chain[0].path, L"Files");
    /* A volume that was never shown has lost nothing. */
    if (SUCCEEDED(result) && (!export.isVolume || is_directory(volume))) result = walk_tree(path, tombstone_visit, &export);
    CloseHandle(export.tombstones);
  }
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
