/*
 * BackupRead and BackupWrite, which Wine answers with ERROR_NOT_SUPPORTED. When the double is loaded by Wine it puts
 * these in their place. The data of a file goes to the file; its other streams, which Wine's filesystem cannot hold, the
 * double remembers by the file's path.
 */
#include "double.h"

enum { HEAD = 20, DATA_ID = 1, SECURITY_ID = 3, ALTERNATE_ID = 4, REPARSE_ID = 8 };

typedef struct {
  BYTE head[HEAD + 1024];
  DWORD headLength;
  /* Of the stream that is being written, and whether it is the file's data. */
  UINT64 left;
  BOOL isData;
  BYTE *bytes;
  size_t length, at;
} Context;

static void side_path(HANDLE file, wchar_t *path) {
  wchar_t name[LONG_PATH] = L"";
  GetFinalPathNameByHandleW(file, name, LONG_PATH, 0);
  memory_path(path, L"streams", name);
}

void *side_streams(const wchar_t *path, DWORD *length) {
  wchar_t side[LONG_PATH];
  *length = 0;
  HANDLE file = CreateFileW(path, 0, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (file == INVALID_HANDLE_VALUE) return NULL;
  side_path(file, side);
  CloseHandle(file);
  return read_file(side, length);
}

static void keep(Context *context, const void *bytes, size_t length) {
  context->bytes = realloc(context->bytes, context->length + length + 1);
  memcpy(context->bytes + context->length, bytes, length);
  context->length += length;
}

static UINT64 size_of(const BYTE *head) {
  UINT64 size;
  memcpy(&size, head + 8, sizeof size);
  return size;
}

static DWORD number_at(const BYTE *bytes) {
  DWORD number;
  memcpy(&number, bytes, sizeof number);
  return number;
}

static void release(Context **context) {
  free((*context)->bytes);
  free(*context);
  *context = NULL;
}

static BOOL WINAPI backup_write(
    HANDLE file, BYTE *bytes, DWORD length, DWORD *written, BOOL abort, BOOL security, void **place) {
  Context *context = *place;
  (void)security;
  if (written != NULL) *written = 0;
  if (abort) {
    wchar_t side[LONG_PATH];
    if (context == NULL) return TRUE;
    side_path(file, side);
    if (context->length > 0) write_file(side, context->bytes, (DWORD)context->length);
    release((Context **)place);
    return TRUE;
  }
  if (context == NULL) *place = context = calloc(1, sizeof *context);
  for (DWORD at = 0; at < length;) {
    if (context->left == 0) {
      DWORD whole = context->headLength < HEAD ? HEAD : HEAD + number_at(context->head + 16);
      if (whole > sizeof context->head) {
        SetLastError(ERROR_INVALID_DATA);
        return FALSE;
      }
      DWORD piece = min(whole - context->headLength, length - at);
      memcpy(context->head + context->headLength, bytes + at, piece);
      context->headLength += piece;
      at += piece;
      if (context->headLength < HEAD || context->headLength < HEAD + number_at(context->head + 16)) continue;
      context->left = size_of(context->head);
      context->isData = number_at(context->head) == DATA_ID;
      if (!context->isData) keep(context, context->head, context->headLength);
      context->headLength = 0;
      continue;
    }
    DWORD piece = (DWORD)min((UINT64)(length - at), context->left), done;
    if (!context->isData) keep(context, bytes + at, piece);
    else if (!WriteFile(file, bytes + at, piece, &done, NULL)) return FALSE;
    context->left -= piece;
    at += piece;
  }
  if (written != NULL) *written = length;
  return TRUE;
}

/* What is before the data, the data, and what is after. */
static void gather(Context *context, HANDLE file, BOOL security) {
  wchar_t side[LONG_PATH];
  BY_HANDLE_FILE_INFORMATION info;
  DWORD length = 0;
  side_path(file, side);
  BYTE *streams = read_file(side, &length);
  GetFileInformationByHandle(file, &info);
  BOOL hasData = !(info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
  for (int pass = 0; pass < 2; pass++) {
    for (DWORD at = 0; streams != NULL && at + HEAD <= length;) {
      DWORD id = number_at(streams + at), whole = HEAD + number_at(streams + at + 16) + (DWORD)size_of(streams + at);
      if (id == REPARSE_ID) hasData = FALSE;
      if ((id == ALTERNATE_ID) == (pass == 1) && (id != SECURITY_ID || security)) keep(context, streams + at, whole);
      at += whole;
    }
    if (pass == 0 && hasData) {
      BYTE head[HEAD] = {DATA_ID};
      DWORD size = info.nFileSizeLow, got = 0;
      memcpy(head + 8, &size, sizeof size);
      keep(context, head, HEAD);
      BYTE *data = malloc((size_t)size + 1);
      SetFilePointer(file, 0, NULL, FILE_BEGIN);
      ReadFile(file, data, size, &got, NULL);
      keep(context, data, size);
      free(data);
    }
  }
  free(streams);
}

static BOOL WINAPI backup_read(
    HANDLE file, BYTE *bytes, DWORD length, DWORD *read, BOOL abort, BOOL security, void **place) {
  Context *context = *place;
  if (read != NULL) *read = 0;
  if (abort) {
    if (context != NULL) release((Context **)place);
    return TRUE;
  }
  if (context == NULL) {
    *place = context = calloc(1, sizeof *context);
    gather(context, file, security);
  }
  DWORD piece = (DWORD)min((size_t)length, context->length - context->at);
  memcpy(bytes, context->bytes + context->at, piece);
  context->at += piece;
  if (read != NULL) *read = piece;
  return TRUE;
}

void install_backup(void) {
  replace_function("BackupRead", (void *)backup_read);
  replace_function("BackupWrite", (void *)backup_write);
}
