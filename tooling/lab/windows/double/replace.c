#include "double.h"

/* mov rax, target; jmp rax */
void replace_function(const char *name, void *target) {
  BYTE jump[12] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};
  BYTE *code = (BYTE *)GetProcAddress(GetModuleHandleW(L"kernel32.dll"), name);
  DWORD before;
  if (GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == NULL) return;
  /* What it does must stay when this library is no longer wanted. */
  HMODULE own;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, target, &own);
  memcpy(jump + 2, &target, sizeof target);
  if (code == NULL || !VirtualProtect(code, sizeof jump, PAGE_EXECUTE_READWRITE, &before)) return;
  memcpy(code, jump, sizeof jump);
  VirtualProtect(code, sizeof jump, before, &before);
  FlushInstructionCache(GetCurrentProcess(), code, sizeof jump);
}
