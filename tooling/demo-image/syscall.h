/* Linux system calls without a libc, for the two machines that the image is made for. */
#ifndef SYSCALL_H
#define SYSCALL_H

#if defined(__x86_64__)

enum {
	SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_rt_sigprocmask = 14, SYS_ioctl = 16, SYS_getpid = 39,
	SYS_uname = 63, SYS_getcwd = 79, SYS_getuid = 102, SYS_getgid = 104, SYS_rt_sigtimedwait = 128,
	SYS_getdents64 = 217, SYS_exit_group = 231, SYS_openat = 257, SYS_mkdirat = 258, SYS_unlinkat = 263,
};

static inline long call4(long number, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* The kernel starts a program with argc at the top of an aligned stack. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");

#elif defined(__aarch64__)

enum {
	SYS_getcwd = 17, SYS_ioctl = 29, SYS_mkdirat = 34, SYS_unlinkat = 35, SYS_openat = 56, SYS_close = 57,
	SYS_getdents64 = 61, SYS_read = 63, SYS_write = 64, SYS_exit_group = 94, SYS_rt_sigprocmask = 135,
	SYS_rt_sigtimedwait = 137, SYS_uname = 160, SYS_getpid = 172, SYS_getuid = 174, SYS_getgid = 176,
};

static inline long call4(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x30, xzr\n\tmov x0, sp\n\tbl start\n");

#else
#error "the demo image is for amd64 and arm64"
#endif

#define call(number, a, b, c) call4(number, (long)(a), (long)(b), (long)(c), 0)

#endif
