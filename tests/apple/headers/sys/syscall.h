#error "macOS has no <sys/syscall.h>"
