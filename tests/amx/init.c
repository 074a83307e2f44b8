/* The first process of the machine. Ports 0xe9, 0xea and 0xeb are the outputs, the errors and the exit status. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(int port, const char *bytes, long count)
{
    while (count-- > 0) outb(*bytes++, port);
}

static void end(int status)
{
    char text[16];
    put(0xeb, text, sprintf(text, "%d\n", status));
    put(0x8900, "Shutdown", 8);
    for (;;) pause();
}

static void fail(const char *what)
{
    put(0xea, what, strlen(what));
    put(0xea, ": failed\n", 9);
    end(126);
}

// A file of strings that each end with a zero byte.
static char **strings(const char *path)
{
    struct stat about;
    int file = open(path, O_RDONLY), count = 0;
    if (file < 0 || fstat(file, &about)) fail(path);
    char *bytes = malloc(about.st_size), **list = calloc(about.st_size + 1, sizeof *list);
    if (!bytes || !list || read(file, bytes, about.st_size) != about.st_size) fail(path);
    close(file);
    for (long i = 0; i < about.st_size; i += strlen(bytes + i) + 1) list[count++] = bytes + i;
    return list;
}

int main(void)
{
    mkdir("/proc", 0755); mkdir("/sys", 0755); mkdir("/dev", 0755); mkdir("/tmp", 0755);
    chmod("/tmp", 01777);
    mount("proc", "/proc", "proc", 0, 0);
    mount("sys", "/sys", "sysfs", 0, 0);
    mount("dev", "/dev", "devtmpfs", 0, 0);
    mkdir("/dev/shm", 0755);
    chmod("/dev/shm", 01777);
    symlink("/proc/self/fd", "/dev/fd");
    symlink("fd/0", "/dev/stdin"); symlink("fd/1", "/dev/stdout"); symlink("fd/2", "/dev/stderr");
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0); dup2(null, 1); dup2(null, 2);
    if (null > 2) close(null);
    // From here on, the console shows what the kernel says of a program: signals, memory.
    int level = open("/proc/sys/kernel/printk", O_WRONLY);
    write(level, "7", 1);
    close(level);
    if (iopl(3)) return 1;
    // A directory, the program's path, its name and its arguments.
    char **arguments = strings("/emulate-amx/arguments"), **environment = strings("/emulate-amx/environment");
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) fail("pipe");
    pid_t program = fork();
    if (program == 0) {
        iopl(0);
        setsid();
        dup2(out[1], 1); dup2(err[1], 2);
        if (chdir(arguments[0])) { perror(arguments[0]); _exit(126); }
        execve(arguments[1], arguments + 2, environment);
        perror(arguments[1]);
        _exit(127);
    }
    if (program < 0) fail("fork");
    close(out[1]); close(err[1]);
    struct pollfd files[2] = {{out[0], POLLIN}, {err[0], POLLIN}};
    int done = 0, status = 126;
    for (;;) {
        char bytes[65536];
        // What is written is waited for no longer than the program runs: its children may hold a pipe open.
        int ready = poll(files, 2, done ? 0 : 100), state;
        for (int i = 0; i < 2; i++) {
            if (ready <= 0 || !files[i].revents) continue;
            long count = read(files[i].fd, bytes, sizeof bytes);
            if (count > 0) put(i ? 0xea : 0xe9, bytes, count);
            else files[i].fd = -1;
        }
        if (done && (ready <= 0 || (files[0].fd < 0 && files[1].fd < 0))) end(status);
        for (pid_t process; (process = waitpid(-1, &state, WNOHANG)) > 0;) {
            if (process != program) continue;
            done = 1;
            status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
        }
    }
}
