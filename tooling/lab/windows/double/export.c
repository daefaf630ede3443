/* Layers into the form in which they are on their way. */
#include "model.h"

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

HRESULT export_layer(const wchar_t *layer, const wchar_t *folder, const wchar_t *nearest) {
  static const char head[] = "\xef\xbb\xbfVersion 1.0\n";
  wchar_t path[LONG_PATH], volume[LONG_PATH], own[LONG_PATH];
  DWORD written;
  if (!is_directory(folder)) return E_INVALIDARG;
  if (remembers(L"prepared", layer)) return WIN32_RESULT(ERROR_SHARING_VIOLATION);                    /* [invented] */
  if (is_sandbox(layer) && !remembers(L"active", layer)) return WIN32_RESULT(ERROR_NOT_READY);        /* [invented] */
  HRESULT result = reconcile(nearest);
  if (SUCCEEDED(result) && !is_sandbox(layer)) result = reconcile(layer);
  if (FAILED(result)) return result;
  volume_of(layer, volume);
  join(own, layer, L"Files");
  Export export = {nearest, folder, layer, is_sandbox(layer) ? volume : own, INVALID_HANDLE_VALUE, is_sandbox(layer)};
  join(path, folder, L"Files");
  result = make_directories(path);
  if (SUCCEEDED(result)) result = export_hives(&export, layer);
  join(path, folder, L"tombstones.txt");
  export.tombstones = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
  WriteFile(export.tombstones, head, sizeof head - 1, &written, NULL);
  if (export.isVolume) {
    export.layer = nearest;
    if (SUCCEEDED(result)) result = walk_tree(volume, volume_visit, &export);
    export.layer = volume;
  } else {
    swprintf(path, LONG_PATH, L"%ls\\.double\\Files", layer);
    if (SUCCEEDED(result)) result = walk_tree(path, image_visit, &export);
  }
  join(path, nearest, L"Files");
  /* A volume that was never shown has lost nothing. */
  if (SUCCEEDED(result) && (!export.isVolume || was_shown(layer))) result = walk_tree(path, tombstone_visit, &export);
  CloseHandle(export.tombstones);
  return result;
}
