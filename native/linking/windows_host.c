/* For scripts/build/prebuild.mjs alone: an addon that MinGW linked takes N-API from the program that loads it, whatever that is called (node.exe,
 * electron.exe, bun.exe). node-gyp brings the same for Visual C++. */

#include <windows.h>

#include <delayimp.h>
#include <string.h>

static FARPROC WINAPI host(unsigned event, PDelayLoadInfo load) {
  if (event != dliNotePreLoadLibrary || _stricmp(load->szDll, "node.exe") != 0) return NULL;
  HMODULE module = GetModuleHandleW(L"libnode.dll"); /* where Node is a library of another program */
  return (FARPROC)(module != NULL ? module : GetModuleHandleW(NULL));
}

__attribute__((constructor)) static void install(void) { __pfnDliNotifyHook2 = host; }
