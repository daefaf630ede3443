/*
 * The only program in the demo image. Without arguments it shows what the layers below it have become; with them it
 * does one small thing, so that whatever runs a container can be tested with no other image.
 *
 * It needs no libc and no files: a static program of a few kilobytes.
 */
#include "syscall.h"

#define AT_FDCWD (-100)
#define O_WRONLY 01
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_APPEND 02000
#define AT_REMOVEDIR 0x200
#define DT_DIR 4

struct dirent64 {
	unsigned long inode;
	long offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

struct utsname {
	char system[65], node[65], release[65], version[65], machine[65], domain[65];
};

typedef struct {
	long seconds, nanoseconds;
} timespec;

/* The compiler may call these two for what it finds in the code below. */
void *memcpy(void *to, const void *from, unsigned long count)
{
	for (unsigned long at = 0; at < count; at++) ((char *)to)[at] = ((const char *)from)[at];
	return to;
}

void *memset(void *to, int byte, unsigned long count)
{
	for (unsigned long at = 0; at < count; at++) ((char *)to)[at] = (char)byte;
	return to;
}

static unsigned long length(const char *text)
{
	unsigned long count = 0;
	while (text[count] != 0) count++;
	return count;
}

static int equal(const char *a, const char *b)
{
	while (*a != 0 && *a == *b) a++, b++;
	return *a == *b;
}

/* Returns false when the reader has gone away. */
static int write_all(int fd, const char *bytes, unsigned long count)
{
	while (count > 0) {
		long written = call(SYS_write, fd, bytes, count);
		if (written <= 0) return 0;
		bytes += written;
		count -= (unsigned long)written;
	}
	return 1;
}

static void put(int fd, const char *text)
{
	write_all(fd, text, length(text));
}

static void print(const char *text)
{
	put(1, text);
}

static void print_number(long number)
{
	char digits[24];
	char *at = digits + sizeof digits - 1;
	*at = 0;
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	print(at);
}

static long parse_number(const char *text)
{
	long number = 0;
	for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
	return number;
}

static int fail(const char *what, long error)
{
	static const struct {
		int number;
		const char *text;
	} known[] = { { 1, "not permitted" }, { 2, "no such file" }, { 13, "permission denied" },
		      { 17, "exists" }, { 20, "not a directory" }, { 21, "is a directory" },
		      { 28, "no space left" }, { 30, "read-only file system" }, { 39, "not empty" } };
	const char *reason = "failed";
	for (unsigned at = 0; at < sizeof known / sizeof *known; at++)
		if (known[at].number == -error) reason = known[at].text;
	put(2, "hello: ");
	put(2, what);
	put(2, ": ");
	put(2, reason);
	put(2, "\n");
	return 1;
}

static long open_file(const char *path, int flags)
{
	return call4(SYS_openat, AT_FDCWD, (long)path, flags, 0644);
}

static int copy_out(int fd)
{
	static char buffer[4096];
	for (;;) {
		long count = call(SYS_read, fd, buffer, sizeof buffer);
		if (count == 0) return 0;
		if (count < 0 || !write_all(1, buffer, (unsigned long)count)) return 1;
	}
}

static int cat(const char *path)
{
	long fd = open_file(path, 0);
	if (fd < 0) return fail(path, fd);
	int result = copy_out((int)fd);
	call(SYS_close, fd, 0, 0);
	return result;
}

static int write_file(const char *path, const char *text, int how)
{
	long fd = open_file(path, O_WRONLY | O_CREAT | how);
	if (fd < 0) return fail(path, fd);
	put((int)fd, text);
	put((int)fd, "\n");
	call(SYS_close, fd, 0, 0);
	return 0;
}

static int before(const char *a, const char *b)
{
	while (*a != 0 && *a == *b) a++, b++;
	return (unsigned char)*a < (unsigned char)*b;
}

enum { MOST = 64, LONGEST = 256 };

/* Calls `each` for the names in a directory, in order. */
static int walk(const char *path, int (*each)(const char *path, int directory))
{
	char bytes[4096], names[MOST][LONGEST];
	int directory[MOST], count = 0, result = 0;
	unsigned long prefix = length(path);
	long fd = open_file(path, 0);
	if (fd < 0) return fail(path, fd);
	for (;;) {
		long filled = call(SYS_getdents64, fd, bytes, sizeof bytes);
		if (filled < 0) result = fail(path, filled);
		if (filled <= 0) break;
		for (long at = 0; at < filled;) {
			struct dirent64 *entry = (struct dirent64 *)(bytes + at);
			at += entry->length;
			if (equal(entry->name, ".") || equal(entry->name, "..")) continue;
			if (count == MOST || prefix + 1 + length(entry->name) >= LONGEST) continue;
			int place = count++;
			char full[LONGEST];
			memcpy(full, path, prefix);
			full[prefix] = '/';
			memcpy(full + prefix + (path[prefix - 1] != '/'), entry->name, length(entry->name) + 1);
			for (; place > 0 && before(full, names[place - 1]); place--) {
				memcpy(names[place], names[place - 1], LONGEST);
				directory[place] = directory[place - 1];
			}
			memcpy(names[place], full, LONGEST);
			directory[place] = entry->type == DT_DIR;
		}
	}
	call(SYS_close, fd, 0, 0);
	for (int at = 0; at < count; at++)
		if (each(names[at], directory[at])) result = 1;
	return result;
}

static int list(const char *path, int directory)
{
	print(path);
	print(directory ? "/\n" : "\n");
	return 0;
}

/* Every file under /layers says in one line which layer wrote it. */
static int show(const char *path, int directory)
{
	if (directory) return walk(path, show);
	print("  ");
	print(path);
	for (unsigned long at = length(path); at < 34; at++) print(" ");
	return cat(path);
}

static int greet(void)
{
	struct utsname host;
	int result = cat("/etc/motd");
	print("\nwhat the layers left in /layers:\n");
	if (walk("/layers", show)) result = 1;
	call(SYS_uname, &host, 0, 0);
	print("\nrunning as uid ");
	print_number(call(SYS_getuid, 0, 0, 0));
	print(", pid ");
	print_number(call(SYS_getpid, 0, 0, 0));
	print(", host ");
	print(host.node);
	print(", on ");
	print(host.system);
	print(" ");
	print(host.release);
	print(" ");
	print(host.machine);
	print("\n");
	return result;
}

/* Waits, or until it is asked to end; as process 1 of a pid namespace it must ask for signals to get any. */
static int doze(long seconds)
{
	unsigned long wanted = 1UL << (1 - 1) | 1UL << (2 - 1) | 1UL << (15 - 1) | 1UL << (10 - 1);
	timespec rest = { seconds, 0 };
	call4(SYS_rt_sigprocmask, 0, (long)&wanted, 0, sizeof wanted);
	print("waiting\n");
	long signal = call4(SYS_rt_sigtimedwait, (long)&wanted, 0, (long)&rest, sizeof wanted);
	if (signal <= 0) return 0;
	print("signal ");
	print_number(signal);
	print("\n");
	return 128 + (int)signal;
}

static int show_identity(void)
{
	print("uid=");
	print_number(call(SYS_getuid, 0, 0, 0));
	print(" gid=");
	print_number(call(SYS_getgid, 0, 0, 0));
	print("\n");
	return 0;
}

static int show_directory(void)
{
	char path[LONGEST];
	long result = call(SYS_getcwd, path, sizeof path, 0);
	if (result < 0) return fail("getcwd", result);
	print(path);
	print("\n");
	return 0;
}

static int show_host(void)
{
	struct utsname host;
	call(SYS_uname, &host, 0, 0);
	print(host.node);
	print("\n");
	return 0;
}

/* TCGETS succeeds on terminals only. */
static int show_terminal(void)
{
	char settings[256];
	print(call(SYS_ioctl, 0, 0x5401, settings) == 0 ? "a terminal\n" : "not a terminal\n");
	return 0;
}

static int usage(void)
{
	put(2, "hello: cat [FILE…] | ls [DIR] | write FILE TEXT | append FILE TEXT | mkdir DIR | rm FILE | rmdir DIR |\n"
	       "       echo TEXT… | env | id | pwd | hostname | tty | sleep SECONDS | exit CODE\n");
	return 2;
}

static int one_argument(const char *verb, const char *argument)
{
	long error;
	if (equal(verb, "cat")) return cat(argument);
	if (equal(verb, "ls")) return walk(argument, list);
	if (equal(verb, "exit")) return (int)parse_number(argument);
	if (equal(verb, "sleep")) return doze(parse_number(argument));
	if (equal(verb, "mkdir"))
		error = call(SYS_mkdirat, AT_FDCWD, argument, 0755);
	else if (equal(verb, "rm"))
		error = call(SYS_unlinkat, AT_FDCWD, argument, 0);
	else if (equal(verb, "rmdir"))
		error = call(SYS_unlinkat, AT_FDCWD, argument, AT_REMOVEDIR);
	else
		return usage();
	return error < 0 ? fail(argument, error) : 0;
}

static int perform(long count, char **arguments, char **environment)
{
	const char *verb = arguments[1];
	if (count < 2) return greet();
	if (equal(verb, "echo") || equal(verb, "env")) {
		int echo = equal(verb, "echo");
		for (char **at = echo ? arguments + 2 : environment; *at; at++) {
			print(*at);
			print(echo && at[1] ? " " : "\n");
		}
		return 0;
	}
	if (count == 2) {
		if (equal(verb, "cat")) return copy_out(0);
		if (equal(verb, "ls")) return walk("/", list);
		if (equal(verb, "id")) return show_identity();
		if (equal(verb, "pwd")) return show_directory();
		if (equal(verb, "hostname")) return show_host();
		if (equal(verb, "tty")) return show_terminal();
		return usage();
	}
	if (count == 4 && equal(verb, "write")) return write_file(arguments[2], arguments[3], O_TRUNC);
	if (count == 4 && equal(verb, "append")) return write_file(arguments[2], arguments[3], O_APPEND);
	int result = 0;
	for (long at = 2; at < count; at++) {
		int one = one_argument(verb, arguments[at]);
		if (one != 0) result = one;
	}
	return result;
}

__attribute__((noreturn, used)) void start(long *stack)
{
	long count = stack[0];
	char **arguments = (char **)(stack + 1);
	int code = perform(count, arguments, arguments + count + 1);
	for (;;) call(SYS_exit_group, code, 0, 0);
}
