/* SPDX-License-Identifier: ISC */
/*
 * Run by `meson setup`: exit status 0 where time_t has the size here that it had when
 * GnuTLS was built. GnuTLS returns times as time_t, and a program with another one
 * misreads them. Debian has time_t of 32 bits on i386, and until Debian 12 on armhf.
 *
 * The certificate expires at 2100-01-01 00:00:00 UTC. GnuTLS with 32 bits returns a time
 * of 2037 for it; the lower half of the right time is negative.
 */
#include <gnutls/x509.h>
#include <stdint.h>
#include <time.h>

#define EXPIRES 4102444800

static unsigned char certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBTDCB9KADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMTBHRpbWUwIBcN\n"
	"MDEwOTA5MDE0NjQwWhgPMjEwMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMTBHRpbWUw\n"
	"WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATKlqdq/0CUvv3u3LqCGYcIARCDdS5w\n"
	"rHRtACVUp7UVVfmqQk7cmXcqmNtU1Lt46GUM8x6mos11JnGG9d6Tp9QXoz8wPTAM\n"
	"BgNVHRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIHgDAdBgNVHQ4EFgQUz6W7op7zVTtV\n"
	"OKMBo5Sxw0TzelMwCgYIKoZIzj0EAwIDRwAwRAIgW3bdaswoS9rAjGYn+QphAiTx\n"
	"jFvBQLU5iQyb3/ltK0UCICruofkqsLfc3WQB9m5MEIYyKht/8nLrclZjb1m5IED7\n"
	"-----END CERTIFICATE-----\n";

int main(void)
{
	gnutls_datum_t pem = { certificate, sizeof(certificate) - 1 };
	gnutls_x509_crt_t crt;
	time_t at;

	if (gnutls_x509_crt_init(&crt) < 0 ||
		gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) < 0)
		return 2;
	at = gnutls_x509_crt_get_expiration_time(crt);
	gnutls_x509_crt_deinit(crt);
	return sizeof(at) > 4 ? at != (time_t)EXPIRES : at <= 0;
}
