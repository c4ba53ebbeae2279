// macOS has these without a feature macro; glibc's header does not.
#pragma once
#include_next <dlfcn.h>
typedef struct dl_info {
  const char* dli_fname;
  void* dli_fbase;
  const char* dli_sname;
  void* dli_saddr;
} Dl_info;
extern "C" int dladdr(const void*, Dl_info*);
