#include "double.h"

/* Longer than 260 characters only with the prefix. */
static const wchar_t *plain(const wchar_t *path, wchar_t *room) {
  if (wcsncmp(path, L"\\\\?\\", 4) == 0 || wcslen(path) < 240) return path;
  swprintf(room, LONG_PATH, L"\\\\?\\%ls", path);
  return room;
}

BOOL is_there(const wchar_t *path) {
  wchar_t room[LONG_PATH];
  return GetFileAttributesW(plain(path, room)) != INVALID_FILE_ATTRIBUTES;
}

BOOL is_directory(const wchar_t *path) {
  wchar_t room[LONG_PATH];
  DWORD attributes = GetFileAttributesW(plain(path, room));
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
}

HRESULT make_directories(const wchar_t *path) {
  wchar_t room[LONG_PATH], above[LONG_PATH];
  if (is_directory(path)) return S_OK;
  wcscpy(above, path);
  wchar_t *split = wcsrchr(above, '\\');
  if (split != NULL && split - above > 3) {
    *split = 0;
    HRESULT result = make_directories(above);
    if (FAILED(result)) return result;
  }
  return CreateDirectoryW(plain(path, room), NULL) ? S_OK : WIN32_RESULT(GetLastError());
}

void *read_file(const wchar_t *path, DWORD *length) {
  wchar_t room[LONG_PATH];
  DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, got = 0;
  HANDLE file = CreateFileW(plain(path, room), GENERIC_READ, share, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (file == INVALID_HANDLE_VALUE) return NULL;
  *length = GetFileSize(file, NULL);
  BYTE *bytes = malloc((size_t)*length + 1);
  if (!ReadFile(file, bytes, *length, &got, NULL)) got = 0;
  *length = got;
  CloseHandle(file);
  return bytes;
}

HRESULT write_file(const wchar_t *path, const void *bytes, DWORD length) {
  wchar_t room[LONG_PATH];
  DWORD written;
  SetFileAttributesW(plain(path, room), FILE_ATTRIBUTE_NORMAL);
  HANDLE file = CreateFileW(plain(path, room), GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
  if (file == INVALID_HANDLE_VALUE) return WIN32_RESULT(GetLastError());
  BOOL done = WriteFile(file, bytes, length, &written, NULL) && written == length;
  CloseHandle(file);
  return done ? S_OK : WIN32_RESULT(ERROR_DISK_FULL);
}

HRESULT copy_file(const wchar_t *from, const wchar_t *to) {
  wchar_t room[LONG_PATH], other[LONG_PATH];
  SetFileAttributesW(plain(to, other), FILE_ATTRIBUTE_NORMAL);
  if (!CopyFileW(plain(from, room), plain(to, other), FALSE)) return WIN32_RESULT(GetLastError());
  copy_times(from, to);
  return S_OK;
}

void copy_times(const wchar_t *from, const wchar_t *to) {
  wchar_t room[LONG_PATH], other[LONG_PATH];
  FILETIME made, read, written;
  HANDLE source = CreateFileW(plain(from, room), FILE_READ_ATTRIBUTES, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  HANDLE target = CreateFileW(plain(to, other), FILE_WRITE_ATTRIBUTES, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (source != INVALID_HANDLE_VALUE && target != INVALID_HANDLE_VALUE && GetFileTime(source, &made, &read, &written))
    SetFileTime(target, &made, &read, &written);
  if (source != INVALID_HANDLE_VALUE) CloseHandle(source);
  if (target != INVALID_HANDLE_VALUE) CloseHandle(target);
}

HRESULT walk_tree(const wchar_t *root, Visitor visit, void *context) {
  struct Level {
    HANDLE search;
    size_t length;
  } levels[512];
  int depth = 0;
  wchar_t pattern[LONG_PATH], path[LONG_PATH], relative[LONG_PATH] = L"", room[LONG_PATH];
  WIN32_FIND_DATAW found;
  HRESULT result = S_OK;
  swprintf(pattern, LONG_PATH, L"%ls\\*", root);
  levels[0].search = FindFirstFileW(plain(pattern, room), &found);
  levels[0].length = 0;
  if (levels[0].search == INVALID_HANDLE_VALUE) return S_OK;
  for (BOOL more = TRUE; depth >= 0 && SUCCEEDED(result);) {
    if (!more) {
      FindClose(levels[depth--].search);
      if (depth >= 0) more = FindNextFileW(levels[depth].search, &found);
      continue;
    }
    if (wcscmp(found.cFileName, L".") == 0 || wcscmp(found.cFileName, L"..") == 0) {
      more = FindNextFileW(levels[depth].search, &found);
      continue;
    }
    size_t at = levels[depth].length;
    swprintf(relative + at, LONG_PATH - at, L"%ls%ls", at == 0 ? L"" : L"\\", found.cFileName);
    swprintf(path, LONG_PATH, L"%ls\\%ls", root, relative);
    result = visit(path, relative, &found, context);
    if (FAILED(result)) break;
    if (result != S_FALSE && (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) && is_directory(path) && depth < 511) {
      swprintf(pattern, LONG_PATH, L"%ls\\*", path);
      HANDLE search = FindFirstFileW(plain(pattern, room), &found);
      if (search != INVALID_HANDLE_VALUE) {
        depth++;
        levels[depth].search = search;
        levels[depth].length = wcslen(relative);
        continue;
      }
    }
    more = FindNextFileW(levels[depth].search, &found);
  }
  while (depth >= 0) FindClose(levels[depth--].search);
  return result;
}

HRESULT remove_tree(const wchar_t *path) {
  wchar_t pattern[LONG_PATH], below[LONG_PATH], room[LONG_PATH];
  WIN32_FIND_DATAW found;
  DWORD attributes = GetFileAttributesW(plain(path, room));
  if (attributes == INVALID_FILE_ATTRIBUTES) return S_OK;
  SetFileAttributesW(plain(path, room), FILE_ATTRIBUTE_NORMAL);
  if (!(attributes & FILE_ATTRIBUTE_DIRECTORY)) return DeleteFileW(plain(path, room)) ? S_OK : WIN32_RESULT(GetLastError());
  swprintf(pattern, LONG_PATH, L"%ls\\*", path);
  HANDLE search = FindFirstFileW(plain(pattern, room), &found);
  HRESULT result = S_OK;
  if (search != INVALID_HANDLE_VALUE) {
    do {
      if (wcscmp(found.cFileName, L".") == 0 || wcscmp(found.cFileName, L"..") == 0) continue;
      swprintf(below, LONG_PATH, L"%ls\\%ls", path, found.cFileName);
      result = remove_tree(below);
    } while (SUCCEEDED(result) && FindNextFileW(search, &found));
    FindClose(search);
  }
  if (FAILED(result)) return result;
  return RemoveDirectoryW(plain(path, room)) ? S_OK : WIN32_RESULT(GetLastError());
}
