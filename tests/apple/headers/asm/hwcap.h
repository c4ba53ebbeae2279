#error "macOS has no <asm/hwcap.h>"
