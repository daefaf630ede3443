#include "double.h"
#include <stdarg.h>

static void append(Record *record, const char *format, ...) {
  va_list values;
  for (;;) {
    size_t left = record->room - record->length;
    va_start(values, format);
    int needed = left == 0 ? 1 << 12 : vsnprintf(record->text + record->length, left, format, values);
    va_end(values);
    if (needed >= 0 && left > (size_t)needed) {
      record->length += needed;
      return;
    }
    record->room = record->room * 2 + 8192;
    record->text = realloc(record->text, record->room);
  }
}

static void append_string(Record *record, const wchar_t *value) {
  if (value == NULL) {
    append(record, "null");
    return;
  }
  append(record, "\"");
  for (; *value; value++) {
    if (*value == '"' || *value == '\\') append(record, "\\%c", *value);
    else if (*value < 0x20 || *value > 0x7e) append(record, "\\u%04x", *value);
    else append(record, "%c", *value);
  }
  append(record, "\"");
}

void record_begin(Record *record, const char *call) {
  memset(record, 0, sizeof *record);
  append(record, "{\"call\":\"%s\"", call);
}

void record_text(Record *record, const char *key, const wchar_t *value) {
  append(record, ",\"%s\":", key);
  append_string(record, value);
}

void record_number(Record *record, const char *key, unsigned long long value) {
  append(record, ",\"%s\":\"%llu\"", key, value);
}

void record_info(Record *record, const DriverInfo *info) {
  if (info == NULL) {
    append(record, ",\"info\":null");
    return;
  }
  append(record, ",\"info\":{\"flavour\":%u,\"home\":", info->flavour);
  append_string(record, info->home);
  append(record, "}");
}

void record_chain(Record *record, const Descriptor *chain, UINT32 count) {
  append(record, ",\"count\":%u,\"chain\":", count);
  if (chain == NULL) {
    append(record, "null");
    return;
  }
  append(record, "[");
  for (UINT32 index = 0; index < count; index++) {
    append(record, "%s{\"id\":\"", index == 0 ? "" : ",");
    for (size_t at = 0; at < sizeof(GUID); at++) append(record, "%02x", ((const BYTE *)&chain[index].id)[at]);
    append(record, "\",\"flags\":%u,\"path\":", chain[index].flags);
    append_string(record, chain[index].path);
    append(record, "}");
  }
  append(record, "]");
}

HRESULT record_end(Record *record, HRESULT result) {
  wchar_t path[LONG_PATH];
  append(record, ",\"result\":\"%08lx\"}\n", (unsigned long)result);
  memory_path(path, L"calls.jsonl", NULL);
  HANDLE mutex = CreateMutexW(NULL, FALSE, L"layer-double-calls");
  WaitForSingleObject(mutex, INFINITE);
  HANDLE file = CreateFileW(path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, 0, NULL);
  DWORD written;
  if (file != INVALID_HANDLE_VALUE) {
    WriteFile(file, record->text, (DWORD)record->length, &written, NULL);
    CloseHandle(file);
  }
  ReleaseMutex(mutex);
  CloseHandle(mutex);
  free(record->text);
  return result;
}

/* How often each call was made by this process, by a hash of its name. */
static LONG counts[256];

HRESULT asked_failure(const char *call) {
  char wanted[1024];
  unsigned char slot = 0;
  for (const char *at = call; *at; at++) slot = slot * 31 + *at;
  LONG count = InterlockedIncrement(&counts[slot]);
  if (!GetEnvironmentVariableA("LAYER_DOUBLE_FAIL", wanted, sizeof wanted)) return S_OK;
  for (char *one = strtok(wanted, ","); one != NULL; one = strtok(NULL, ",")) {
    char *result = strchr(one, '=');
    if (result == NULL) continue;
    *result++ = 0;
    char *number = strchr(one, '#');
    if (number != NULL) *number++ = 0;
    if (strcmp(one, call) == 0 && (number == NULL || atol(number) == count)) return (HRESULT)strtoul(result, NULL, 16);
  }
  return S_OK;
}

UINT64 hash_text(const wchar_t *text, UINT64 start) {
  for (; *text; text++) {
    wchar_t folded = towlower(*text);
    start = (start ^ (folded & 0xff)) * 0x100000001b3ULL;
    start = (start ^ (folded >> 8)) * 0x100000001b3ULL;
  }
  return start;
}

void memory_path(wchar_t *path, const wchar_t *kind, const wchar_t *folder) {
  wchar_t root[1024];
  if (!GetEnvironmentVariableW(L"LAYER_DOUBLE", root, 1024)) wcscpy(root, L"C:\\layer-double");
  CreateDirectoryW(root, NULL);
  swprintf(path, LONG_PATH, L"%ls\\%ls", root, kind);
  if (folder == NULL) return;
  CreateDirectoryW(path, NULL);
  if (wcsncmp(folder, L"\\\\?\\", 4) == 0) folder += 4;
  swprintf(path + wcslen(path), 32, L"\\%016llx", hash_text(folder, 0xcbf29ce484222325ULL));
}

BOOL remembers(const wchar_t *what, const wchar_t *folder) {
  wchar_t path[LONG_PATH];
  memory_path(path, what, folder);
  return is_there(path);
}

void remember(const wchar_t *what, const wchar_t *folder, BOOL yes) {
  wchar_t path[LONG_PATH];
  memory_path(path, what, folder);
  if (yes) write_file(path, "", 0);
  else DeleteFileW(path);
}
