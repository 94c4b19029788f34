/*
 * UTF-8, strictly: shortest forms, no surrogates, nothing beyond U+10FFFF.   Source: RFC 3629
 */
#ifndef CVM_BASE_UTF8_H
#define CVM_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the character at p, of which `left` bytes (1 or more) are there; 0 where it is
 * none. */
size_t cvm_utf8_read(const uint8_t *p, size_t left, uint32_t *character);

/* Writes a character, which is one, and returns its length. */
size_t cvm_utf8_write(uint32_t character, uint8_t out[4]);

#endif
