#include "model.h"

const wchar_t companion[] = L".$wcidirs$";

void join(wchar_t *path, const wchar_t *a, const wchar_t *b) { swprintf(path, LONG_PATH, L"%ls\\%ls", a, b); }

static const wchar_t *base_name(const wchar_t *path) {
  const wchar_t *split = wcsrchr(path, '\\');
  return split == NULL ? path : split + 1;
}

BOOL ends_with(const wchar_t *text, const wchar_t *end) {
  size_t length = wcslen(text), tail = wcslen(end);
  return length >= tail && wcscmp(text + length - tail, end) == 0;
}

BOOL is_sandbox(const wchar_t *folder) {
  wchar_t path[LONG_PATH];
  join(path, folder, L"sandbox.vhdx");
  return is_there(path);
}

void volume_of(const wchar_t *folder, wchar_t *path) { join(path, folder, L".volume"); }

/* [invented] */
void guid_of(const wchar_t *name, GUID *guid) {
  UINT64 parts[2] = {hash_text(name, 0xcbf29ce484222325ULL), hash_text(name, 0x84222325cbf29ce4ULL)};
  memcpy(guid, parts, sizeof *guid);
}

HRESULT check_info(const DriverInfo *info) {
  return info != NULL && info->flavour == 1 && info->home != NULL && *info->home == 0 ? S_OK : E_INVALIDARG;
}

HRESULT check_descriptor(const GUID *id, const wchar_t *path) {
  GUID guid;
  if (path == NULL || !is_directory(path)) return WIN32_RESULT(ERROR_PATH_NOT_FOUND);
  guid_of(base_name(path), &guid);
  return memcmp(&guid, id, sizeof guid) == 0 ? S_OK : E_INVALIDARG;
}

HRESULT check_chain(const Descriptor *chain, UINT32 count) {
  if ((chain == NULL) != (count == 0)) return E_INVALIDARG;
  for (UINT32 index = 0; index < count; index++) {
    HRESULT result = check_descriptor(&chain[index].id, chain[index].path);
    if (FAILED(result) || chain[index].flags != 0) return FAILED(result) ? result : E_INVALIDARG;
  }
  return S_OK;
}

typedef struct {
  const wchar_t *target;
} CopyTo;

static HRESULT copy_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  wchar_t to[LONG_PATH];
  join(to, ((CopyTo *)context)->target, relative);
  return found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? make_directories(to) : copy_file(path, to);
}

/* What is made in a directory moves its times, so theirs come last. */
static HRESULT time_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context) {
  wchar_t to[LONG_PATH];
  if (!(found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)) return S_OK;
  join(to, ((CopyTo *)context)->target, relative);
  copy_times(path, to);
  return S_OK;
}

HRESULT copy_tree(const wchar_t *from, const wchar_t *to) {
  CopyTo context = {to};
  HRESULT result = make_directories(to);
  if (SUCCEEDED(result)) result = walk_tree(from, copy_visit, &context);
  if (SUCCEEDED(result)) result = walk_tree(from, time_visit, &context);
  copy_times(from, to);
  return result;
}

BOOL was_shown(const wchar_t *layer) {
  wchar_t mark[LONG_PATH];
  join(mark, layer, L".shown");
  return is_there(mark);
}

HRESULT show_volume(const wchar_t *layer, const wchar_t *nearest) {
  wchar_t volume[LONG_PATH], files[LONG_PATH], mark[LONG_PATH];
  if (was_shown(layer)) return S_OK;
  volume_of(layer, volume);
  join(files, nearest, L"Files");
  join(mark, layer, L".shown");
  HRESULT result = copy_tree(files, volume);
  return SUCCEEDED(result) ? write_file(mark, "", 0) : result;
}

HRESULT destroy_layer(const wchar_t *layer) {
  wchar_t volume[LONG_PATH];
  if (remembers(L"active", layer)) return WIN32_RESULT(ERROR_SHARING_VIOLATION);
  volume_of(layer, volume);
  HRESULT result = remove_tree(volume);
  return SUCCEEDED(result) ? remove_tree(layer) : result;
}

static HRESULT forget_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *layer) {
  wchar_t visible[LONG_PATH];
  swprintf(visible, LONG_PATH, L"%ls\\Files\\%ls", (const wchar_t *)layer, relative);
  if (ends_with(visible, companion)) visible[wcslen(visible) - wcslen(companion)] = 0;
  if (is_there(visible)) return S_OK;
  HRESULT result = remove_tree(path);
  return SUCCEEDED(result) && found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? S_FALSE : result;
}

static HRESULT learn_visit(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *layer) {
  wchar_t kept[LONG_PATH];
  DWORD attributes = found->dwFileAttributes, length = 0;
  swprintf(kept, LONG_PATH, L"%ls\\.double\\Files\\%ls", (const wchar_t *)layer, relative);
  if (is_there(kept)) return S_OK;
  if (attributes & FILE_ATTRIBUTE_DIRECTORY) return make_directories(kept);
  BYTE *data = read_file(path, &length), *bytes = calloc(1, (size_t)length + 24);
  memcpy(bytes, &attributes, 4);
  bytes[4] = 1;
  memcpy(bytes + 12, &length, 4);
  if (data != NULL) memcpy(bytes + 24, data, length);
  HRESULT result = write_file(kept, bytes, length + 24);
  free(bytes);
  free(data);
  return result;
}

HRESULT reconcile(const wchar_t *layer) {
  wchar_t kept[LONG_PATH], visible[LONG_PATH];
  join(visible, layer, L"Files");
  join(kept, layer, L".double\\Files");
  if (!is_directory(visible)) return S_OK;
  HRESULT result = walk_tree(kept, forget_visit, (void *)layer);
  return FAILED(result) ? result : walk_tree(visible, learn_visit, (void *)layer);
}
