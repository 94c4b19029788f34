/*
 * What a TD will report: the smallest useful program with libcvm-measure.
 *
 * usage: expect FIRMWARE KERNEL INITRD CMDLINE LAYOUT QEMU CPUS MEMORY_MIB
 *
 * Uses the installed headers and libcrypto only. docs/example/README.md explains it.
 */
#include <cvm/layout.h>
#include <cvm/measure.h>

#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>

struct file {
    unsigned char *data;
    size_t size;
};

/* Reads a whole file; the caller frees data. */
static bool read_file(const char *path, struct file *out)
{
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        perror(path);
        return false;
    }
    long size = fseek(stream, 0, SEEK_END) == 0 ? ftell(stream) : -1;
    unsigned char *data = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(stream);
    bool ok = data != NULL && fread(data, 1, (size_t)size, stream) == (size_t)size;
    fclose(stream);
    if (!ok) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        return false;
    }
    *out = (struct file){ data, (size_t)size };
    return true;
}

/* A whole number from min to max, in decimal. */
static bool read_number(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
    char *end;
    *out = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || *out < min || *out > max) {
        fprintf(stderr, "'%s' is not a number from %lu to %lu\n", text, min, max);
        return false;
    }
    return true;
}

/* "9.2.1": three numbers. */
static bool read_version(const char *text, struct cvm_qemu_version *out)
{
    uint16_t *const parts[] = { &out->major, &out->minor, &out->micro };
    const char *p = text;
    for (size_t i = 0; i < 3; i++) {
        char *end;
        unsigned long value = strtoul(p, &end, 10);
        if (*p < '0' || *p > '9' || value > UINT16_MAX || *end != (i < 2 ? '.' : '\0')) {
            fprintf(stderr, "'%s' is not a version such as 9.2.1\n", text);
            return false;
        }
        *parts[i] = (uint16_t)value;
        p = end + 1;
    }
    return true;
}

/*
 * The machine: one rootfs disk and one NIC beside the devices that always exist, and for
 * everything else what this version of QEMU implies.
 */
static bool fill_machine(char **argv, struct cvm_machine *out, struct cvm_error *err)
{
    const struct cvm_device_counts devices = { .rootfs = 1, .nics = 1 };
    unsigned long cpus;
    unsigned long mebibytes;
    struct cvm_machine m = {
        .pciexbar_base = CVM_PCIEXBAR_BASE,
        .pci_window64_base = CVM_PCI_WINDOW64_BASE,
        .layout = cvm_layout_find(argv[0]),
    };
    if (m.layout == NULL) {
        fprintf(stderr, "unknown layout '%s'\n", argv[0]);
        return false;
    }
    if (!read_version(argv[1], &m.qemu) || !read_number(argv[2], 1, CVM_MAX_CPUS, &cpus) ||
        !read_number(argv[3], 1, 1UL << 26, &mebibytes)) {
        return false;
    }
    m.cpu_count = (uint32_t)cpus;
    m.memory_size = (uint64_t)mebibytes << 20;
    m.interrupt_trigger = cvm_qemu_default_trigger(m.qemu);
    m.pic = cvm_qemu_default_pic(m.qemu);
    m.kernel_header = cvm_qemu_default_kernel_header(m.qemu);
    if (!cvm_qemu_default_page_add_order(m.qemu, &m.page_add_order, err) ||
        !cvm_machine_place_devices(&m, &devices, err)) {
        return false;
    }
    *out = m;
    return true;
}

static void print_digest(const char *name, const struct cvm_sha384 *digest)
{
    printf("%-6s ", name);
    for (size_t i = 0; i < sizeof digest->bytes; i++) {
        printf("%02x", digest->bytes[i]);
    }
    printf("\n");
}

/* The library asks for the initrd's digest, not the file: the file is large. */
static bool measure(char **argv, const struct file *firmware, const struct file *kernel,
                    const struct file *initrd, struct cvm_expectation *out, struct cvm_error *err)
{
    struct cvm_machine machine;
    struct cvm_image image = {
        .firmware = { firmware->data, firmware->size },
        .kernel = { kernel->data, kernel->size },
        .cmdline = argv[0],
        .initrd_size = initrd->size,
    };
    if (EVP_Digest(initrd->data, initrd->size, image.initrd.bytes, NULL, EVP_sha384(), NULL) != 1) {
        fprintf(stderr, "OpenSSL computes no SHA-384\n");
        return false;
    }
    return fill_machine(argv + 1, &machine, err) && cvm_measure_image(&machine, &image, out, err);
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2" };
    struct file files[3] = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
    struct cvm_expectation expected;
    struct cvm_error err = { 0 };
    if (argc != 9) {
        fprintf(stderr,
                "usage: expect FIRMWARE KERNEL INITRD CMDLINE LAYOUT QEMU CPUS MEMORY_MIB\n");
        return CVM_ERR_USAGE;
    }
    bool ok = read_file(argv[1], &files[0]) && read_file(argv[2], &files[1]) &&
              read_file(argv[3], &files[2]) &&
              measure(argv + 4, &files[0], &files[1], &files[2], &expected, &err);
    for (size_t i = 0; i < 3; i++) {
        free(files[i].data);
    }
    if (!ok) {
        if (err.code == CVM_OK) { /* said already */
            return CVM_ERR_USAGE;
        }
        fprintf(stderr, "%s: %s\n", cvm_error_word(err.code), err.msg);
        return (int)err.code;
    }
    print_digest("mrtd", &expected.mrtd);
    for (size_t i = 0; i < 3; i++) {
        print_digest(names[i], &expected.rtmr[i]);
    }
    return 0;
}
