// What libc++ takes of macOS's <xlocale.h>; glibc's headers give locale_t.
#pragma once
#include <locale.h>
#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
long long strtoll_l(const char*, char**, int, locale_t);
unsigned long long strtoull_l(const char*, char**, int, locale_t);
float strtof_l(const char*, char**, locale_t);
double strtod_l(const char*, char**, locale_t);
long double strtold_l(const char*, char**, locale_t);
int sscanf_l(const char*, locale_t, const char*, ...);
int snprintf_l(char*, size_t, locale_t, const char*, ...);
int asprintf_l(char**, locale_t, const char*, ...);
size_t mbsnrtowcs_l(wchar_t*, const char**, size_t, size_t, void*, locale_t);
size_t wcsnrtombs_l(char*, const wchar_t**, size_t, size_t, void*, locale_t);
struct lconv* localeconv_l(locale_t);
#ifdef __cplusplus
}
#endif

// glibc's macros look into the locale, which libc++ gives as 0, macOS's C locale.
#include <ctype.h>
#undef isdigit_l
#undef isxdigit_l
