#include "vmm/share.h"

#include "measure/base/base64.h"
#include "measure/base/file.h"
#include "measure/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { MAX_USER_FILE = 4 << 20 };

const char *const cvm_share_names[CVM_SHARE_FILES] = {
    "app-compose.json", ".sys-config.json", ".user-config", ".encrypted-env", ".instance_info",
};

static bool load_app_compose(const struct cvm_request *r, struct cvm_share *out,
                             struct cvm_error *err)
{
    const char *path = cvm_json_string(r->app_compose);
    if (path != NULL) {
        return cvm_file_load(path, MAX_USER_FILE, &out->app_compose, err) ||
               cvm_context(err, "app_compose");
    }
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_put_any(&b, NULL, r->app_compose);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, &out->app_compose, err);
}

static bool load_optional(const char *key, const char *path, struct cvm_buf *out,
                          struct cvm_error *err)
{
    return path == NULL || cvm_file_load(path, MAX_USER_FILE, out, err) ||
           cvm_context(err, "%s", key);
}

static void put_urls(struct cvm_json_builder *b, const char *key, struct json_object *mine,
                     struct json_object *hosts)
{
    struct json_object *urls = mine != NULL ? mine : hosts;
    if (urls != NULL) {
        cvm_json_put_any(b, key, urls);
        return;
    }
    cvm_json_begin_array(b, key);
    cvm_json_end(b);
}

static bool build_sys_config(const struct cvm_launch_plan *plan, const char *vm_config,
                             struct cvm_buf *out, struct cvm_error *err)
{
    const struct cvm_host *h = plan->host;
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    cvm_json_begin_object(&b, NULL);
    put_urls(&b, "kms_urls", plan->request->kms_urls, h->kms_urls);
    put_urls(&b, "gateway_urls", plan->request->gateway_urls, h->gateway_urls);
    cvm_json_put_string(&b, "pccs_url", h->pccs_url);
    if (h->pccs_url != NULL) {
        cvm_json_begin_object(&b, "collateral_urls");
        cvm_json_put_string(&b, "pccs", h->pccs_url);
        cvm_json_end(&b);
    }
    cvm_json_put_string(&b, "docker_registry", h->docker_registry);
    if (h->host_api_port.set) {
        char url[64];
        snprintf(url, sizeof url, "vsock://2:%u/api", (unsigned)h->host_api_port.value);
        cvm_json_put_string(&b, "host_api_url", url);
    }
    cvm_json_put_string(&b, "vm_config", vm_config);
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err);
}

static bool build_instance_info(const char *app_id, struct cvm_buf *out, struct cvm_error *err)
{
    cvm_autobuilder struct cvm_json_builder b = { 0 };
    if (app_id == NULL) {
        return true;
    }
    cvm_json_begin_object(&b, NULL);
    cvm_json_put_string(&b, "app_id", app_id);
    cvm_json_end(&b);
    return cvm_json_finish(&b, CVM_JSON_ONE_LINE, out, err);
}

bool cvm_share_load(const struct cvm_launch_plan *plan, const char *vm_config,
                    struct cvm_share *out, struct cvm_error *err)
{
    const struct cvm_request *r = plan->request;
    return load_app_compose(r, out, err) &&
           cvm_sha256(out->app_compose.data, out->app_compose.len, &out->compose_hash, err) &&
           load_optional("user_config", r->user_config, &out->user_config, err) &&
           load_optional("encrypted_env", r->encrypted_env, &out->encrypted_env, err) &&
           build_sys_config(plan, vm_config, &out->sys_config, err) &&
           build_instance_info(r->app_id, &out->instance_info, err);
}

bool cvm_share_write(const struct cvm_share *share, int dir_fd, struct cvm_error *err)
{
    const struct cvm_buf *const contents[CVM_SHARE_FILES] = {
        &share->app_compose,   &share->sys_config,    &share->user_config,
        &share->encrypted_env, &share->instance_info,
    };
    if (mkdirat(dir_fd, "shared", 0750) != 0) {
        return cvm_fail_errno(err, errno, "create directory 'shared'");
    }
    cvm_autoclose int fd = openat(dir_fd, "shared", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return cvm_fail_errno(err, errno, "open directory 'shared'");
    }
    for (size_t i = 0; i < CVM_SHARE_FILES; i++) {
        const struct cvm_buf *c = contents[i];
        if (c->len != 0 && !cvm_file_write(fd, cvm_share_names[i], c->data, c->len, 0640, err)) {
            return cvm_context(err, "shared");
        }
    }
    return true;
}

void cvm_share_free(struct cvm_share *share)
{
    cvm_buf_free(&share->app_compose);
    cvm_buf_free(&share->sys_config);
    cvm_buf_free(&share->user_config);
    cvm_buf_free(&share->encrypted_env);
    cvm_buf_free(&share->instance_info);
}

bool cvm_mr_config_id(const struct cvm_sha256 *compose_hash, struct cvm_buf *out,
                      struct cvm_error *err)
{
    enum { VERSION = 1, SIZE = 48 };
    uint8_t id[SIZE] = { VERSION };
    memcpy(id + 1, compose_hash->bytes, sizeof compose_hash->bytes);
    cvm_put_base64(out, (struct cvm_bytes){ id, sizeof id });
    cvm_put_u8(out, '\0');
    return cvm_buf_finish(out, "MRCONFIGID", err);
}
