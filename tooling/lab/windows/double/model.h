/*
 * The model. An image layer's folder has all files that it shows in `Files`, as the placeholders of Windows make it
 * look, and in `.double` the same tree in the form in which layers are imported and exported, which is where their
 * attributes and further streams are. A sandbox has a volume, a directory that begins as the nearest layer's `Files`.
 */
#ifndef MODEL_H
#define MODEL_H

#include "double.h"

/* What stands beside a directory on its way, for the directory's own streams. */
extern const wchar_t companion[];

void join(wchar_t *path, const wchar_t *a, const wchar_t *b);
BOOL ends_with(const wchar_t *text, const wchar_t *end);
BOOL is_sandbox(const wchar_t *folder);
void volume_of(const wchar_t *folder, wchar_t *path);
void guid_of(const wchar_t *name, GUID *guid);
HRESULT check_info(const DriverInfo *info);
/* Each layer below is there, and has the GUID of its name. */
HRESULT check_chain(const Descriptor *chain, UINT32 count);
HRESULT copy_tree(const wchar_t *from, const wchar_t *to);
HRESULT check_descriptor(const GUID *id, const wchar_t *path);
/* A sandbox's volume begins as the layer below; it may have been shown before. */
HRESULT show_volume(const wchar_t *layer, const wchar_t *nearest);
BOOL was_shown(const wchar_t *layer);
HRESULT destroy_layer(const wchar_t *layer);
/* `nearest` is the layer below. */
HRESULT import_layer(const wchar_t *layer, const wchar_t *folder, const wchar_t *nearest, Record *record);
HRESULT export_layer(const wchar_t *layer, const wchar_t *folder, const wchar_t *nearest);
/* Has `.double` tell of just the files that `Files` has: programs delete and link files there after an import. */
HRESULT reconcile(const wchar_t *layer);

#define BEGIN(name)                                                                                                    \
  Record record;                                                                                                       \
  record_begin(&record, name);                                                                                         \
  HRESULT result = asked_failure(name)
#define WITH_INFO                                                                                                      \
  record_info(&record, info);                                                                                          \
  record_text(&record, "layer", layer);                                                                                \
  if (SUCCEEDED(result)) result = check_info(info)
#define WITH_CHAIN                                                                                                     \
  record_chain(&record, chain, count);                                                                                 \
  if (SUCCEEDED(result)) result = check_chain(chain, count)
#define END return record_end(&record, result)

#endif
