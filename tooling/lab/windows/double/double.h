/*
 * A double of Windows' layer API for Wine, which has none: what programs call is what vmcompute.dll, computestorage.dll
 * and virtdisk.dll export, what it does is a model. Nothing that passes here was seen by Windows.
 *
 * Environment: LAYER_DOUBLE      a directory for what the double remembers, `calls.jsonl` among it
 *              LAYER_DOUBLE_FAIL `PrepareLayer=8007001f,...`: calls that fail with an HRESULT, having done nothing;
 *                                `PrepareLayer#2=...` only the second one of this process
 *
 * What is Windows' own and not known outside of it is marked [invented]: values of GUIDs, paths of volumes, and with
 * what error a call in the wrong order fails. Tests are not to depend on those.
 */
#ifndef DOUBLE_H
#define DOUBLE_H

#define _WIN32_WINNT 0x0A00
#include <windows.h>
#include <objbase.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#define EXPORT __declspec(dllexport)
#define API EXPORT HRESULT WINAPI
#define WIN32_RESULT(error) HRESULT_FROM_WIN32(error)
/* Callers may have small stacks. */
#define LONG_PATH 1024

/* As the callee has them, on x64: 16 and 32 bytes. */
typedef struct {
  UINT32 flavour;
  const wchar_t *home;
} DriverInfo;

typedef struct {
  GUID id;
  UINT32 flags;
  const wchar_t *path;
} Descriptor;

_Static_assert(sizeof(DriverInfo) == 16 && offsetof(DriverInfo, home) == 8, "DRIVER_INFO");
_Static_assert(sizeof(Descriptor) == 32 && offsetof(Descriptor, path) == 24, "WC_LAYER_DESCRIPTOR");

/* One line of calls.jsonl. */
typedef struct {
  char *text;
  size_t length, room;
} Record;

void record_begin(Record *record, const char *call);
void record_text(Record *record, const char *key, const wchar_t *value);
void record_number(Record *record, const char *key, unsigned long long value);
void record_info(Record *record, const DriverInfo *info);
void record_chain(Record *record, const Descriptor *chain, UINT32 count);
/* Writes the line. Returns the result, or the failure that the environment asks for: ask before doing anything. */
HRESULT record_end(Record *record, HRESULT result);
/* The failure that the environment asks for, or S_OK. */
HRESULT asked_failure(const char *call);

/* Paths in what the double remembers; `name` of a layer by its folder. */
void memory_path(wchar_t *path, const wchar_t *kind, const wchar_t *folder);
BOOL remembers(const wchar_t *what, const wchar_t *folder);
void remember(const wchar_t *what, const wchar_t *folder, BOOL yes);
UINT64 hash_text(const wchar_t *text, UINT64 start);

/* Files. All take paths of any length. */
BOOL is_there(const wchar_t *path);
BOOL is_directory(const wchar_t *path);
HRESULT make_directories(const wchar_t *path);
void *read_file(const wchar_t *path, DWORD *length);
HRESULT write_file(const wchar_t *path, const void *bytes, DWORD length);
HRESULT copy_file(const wchar_t *from, const wchar_t *to);
/* Of a file or a directory. */
void copy_times(const wchar_t *from, const wchar_t *to);
HRESULT remove_tree(const wchar_t *path);
/* For each entry below `root`, directories before what is in them. `relative` has no leading separator. */
typedef HRESULT (*Visitor)(const wchar_t *path, const wchar_t *relative, const WIN32_FIND_DATAW *found, void *context);
HRESULT walk_tree(const wchar_t *root, Visitor visit, void *context);

/* backup.c: the streams of a file beside its data, which Wine cannot keep; the caller frees them. */
void *side_streams(const wchar_t *path, DWORD *length);
void install_backup(void);
/* replace.c, in Wine only: has a function of kernel32.dll do something else. */
void replace_function(const char *name, void *target);

/* volume.c: sizes of disks, and of the volumes on them. */
void disk_grows(const wchar_t *layer, UINT64 bytes);
void install_volumes(void);
/* disk.c: of a file that is open. */
BOOL layer_of_disk(HANDLE disk, wchar_t *layer);

#endif
