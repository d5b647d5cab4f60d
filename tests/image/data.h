/* data.h -- what the tests of images share: cases, SHA-256, and the collection of test images.
 *
 * The collection is no part of the project: DTN_DATA names its folder, or it lies beside the
 * checkout. Without it the tests that need it say what they skip and pass.
 */
#ifndef TEST_DATA_H
#define TEST_DATA_H

#include "lib/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int failures;

/* One line for a case. */
static inline void check(bool good, const char *format, ...) DTN_PRINTF(2, 3);
static inline void check(bool good, const char *format, ...)
{
	va_list args;

	failures += !good;
	fputs(good ? "ok " : "not ok ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* The folder, or NULL after a line that says what is skipped. */
static inline const char *data_folder(const char *what)
{
	const char *places[] = { getenv("DTN_DATA"), "../shared/data", "../../shared/data" };
	struct stat status;

	for (int i = 0; i < 3; i++)
		if (places[i] && stat(places[i], &status) == 0)
			return places[i];
	printf("ok # skip %s: no test images (DTN_DATA names their folder)\n", what);
	return NULL;
}

/* Unpack DATA/ARCHIVE into a new folder, which data_remove removes. */
static inline char *data_unpack(const char *data, const char *archive)
{
	char *folder = dtn_strdup("/tmp/dtn-test-XXXXXX"), *command;

	if (!mkdtemp(folder))
		dtn_die(DTN_ENV, "%s:", folder);
	command = dtn_format("tar xzf '%s/%s' -C '%s'", data, archive, folder);
	if (system(command) != 0)
		dtn_die(DTN_ENV, "cannot unpack %s", archive);
	free(command);
	return folder;
}

static inline void data_remove(char *folder)
{
	char *command = dtn_format("rm -rf '%s'", folder);

	if (system(command) != 0)
		dtn_die(DTN_ENV, "cannot remove %s", folder);
	free(command);
	free(folder);
}

/* Cut a line of a tab-separated table; returns how many fields there are. */
static inline int data_fields(char *line, char *field[], int most)
{
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *p = line; p && n < most; n++) {
		field[n] = p;
		p = strchr(p, '\t');
		if (p)
			*p++ = '\0';
	}
	return n;
}

/* SHA-256 [FIPS 180-4] of n bytes, in hexadecimal. */
static inline void sha256_block(uint32_t h[8], const uint8_t *p)
{
	static const uint32_t k[64] = {
		0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
		0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
		0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
		0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
		0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
		0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
		0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
		0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
		0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	};
	uint32_t w[64], s[8];

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, h, sizeof(s));
	for (int i = 0; i < 64; i++) {
		uint32_t a = s[7] + (ROTATE(s[4], 6) ^ ROTATE(s[4], 11) ^ ROTATE(s[4], 25)) +
			     ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		uint32_t b = (ROTATE(s[0], 2) ^ ROTATE(s[0], 13) ^ ROTATE(s[0], 22)) +
			     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += a;
		s[0] = a + b;
	}
#undef ROTATE
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

static inline void sha256(char hex[65], const uint8_t *bytes, size_t n)
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t tail[128] = { 0 };
	size_t whole = n / 64 * 64, rest = n - whole, end = rest < 56 ? 64 : 128;

	for (size_t i = 0; i < whole; i += 64)
		sha256_block(h, bytes + i);
	memcpy(tail, bytes + whole, rest);
	tail[rest] = 0x80;
	for (int i = 0; i < 8; i++)
		tail[end - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
	for (size_t i = 0; i < end; i += 64)
		sha256_block(h, tail + i);
	for (int i = 0; i < 8; i++)
		sprintf(hex + 8 * i, "%08x", h[i]);
}

#endif
