#include "vmm/passphrase.h"

#include "measure/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

enum { MAX_FILE = 4096 };

void cvm_passphrase_clear(struct cvm_passphrase *p)
{
    explicit_bzero(p, sizeof *p);
}

const char *cvm_passphrase_text(const struct cvm_passphrase *p)
{
    return p->set ? p->text : NULL;
}

/* The first line of a text. */
static bool take_line(const char *text, size_t size, struct cvm_passphrase *out,
                      struct cvm_error *err)
{
    const char *newline = size == 0 ? NULL : memchr(text, '\n', size);
    size_t length = newline == NULL ? size : (size_t)(newline - text);
    length -= length != 0 && text[length - 1] == '\r';
    if (length == 0 || length >= sizeof out->text || memchr(text, '\0', length) != NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED,
                        "passphrase: its line has %zu characters, 1 to %d are allowed, without NUL",
                        length, CVM_PASSPHRASE_SIZE - 1);
    }
    memcpy(out->text, text, length);
    out->text[length] = '\0';
    out->set = true;
    return true;
}

bool cvm_passphrase_load(const char *file, struct cvm_passphrase *out, struct cvm_error *err)
{
    const char *variable = getenv(CVM_PASSPHRASE_VARIABLE);
    CVM_CLEANUP(cvm_buf_wipe)
    struct cvm_buf text = { 0 };
    if (file != NULL) {
        return cvm_file_load(file, MAX_FILE, &text, err) &&
               (take_line((const char *)text.data, text.len, out, err) ||
                cvm_context(err, "'%s'", file));
    }
    if (variable != NULL && *variable != '\0') {
        return take_line(variable, strlen(variable), out, err) ||
               cvm_context(err, "variable " CVM_PASSPHRASE_VARIABLE);
    }
    return true;
}

/* --- the terminal --- */

/* Reads a line with the echo off; the terminal is then as it was. */
static bool read_hidden(int tty, const char *prompt, struct cvm_passphrase *out,
                        struct cvm_error *err)
{
    struct termios before;
    char line[CVM_PASSPHRASE_SIZE + 2];
    if (tcgetattr(tty, &before) != 0) {
        return cvm_fail_errno(err, errno, "terminal");
    }
    struct termios hidden = before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(tty, TCSAFLUSH, &hidden) != 0) {
        return cvm_fail_errno(err, errno, "terminal");
    }
    dprintf(tty, "%s", prompt); /* now: what is typed before the echo is off is thrown away */
    ssize_t n = read(tty, line, sizeof line);
    int why = errno;
    (void)tcsetattr(tty, TCSAFLUSH, &before);
    dprintf(tty, "\n");
    bool ok = n >= 0 ? take_line(line, (size_t)n, out, err) : cvm_fail_errno(err, why, "terminal");
    explicit_bzero(line, sizeof line);
    return ok;
}

bool cvm_passphrase_ask(const char *what, bool is_new, struct cvm_passphrase *out,
                        struct cvm_error *err)
{
    char prompt[320];
    cvm_autopassphrase struct cvm_passphrase again = { 0 };
    cvm_autoclose int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0) {
        return cvm_fail(err, CVM_ERR_USAGE,
                        "a passphrase is needed and there is no terminal to ask at; give "
                        "--passphrase-file, or set " CVM_PASSPHRASE_VARIABLE);
    }
    snprintf(prompt, sizeof prompt, "Passphrase for %s: ", what);
    if (!read_hidden(tty, prompt, out, err)) {
        return false;
    }
    if (!is_new) {
        return true;
    }
    return read_hidden(tty, "The same again: ", &again, err) &&
           (strcmp(out->text, again.text) == 0 ||
            cvm_fail(err, CVM_ERR_USAGE, "the two passphrases differ"));
}
