/* SPDX-License-Identifier: ISC */
/*
 * filter SOCKET MODE: a filter for mail servers to be measured with, by libmilter, on a UNIX
 * socket. It changes nothing. MODE:
 *
 *   nothing   it wants no events
 *   silent    it wants all of them, and answers none before the end of the message
 *   every     it answers each of them
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_REPLIES                                                                       \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA | \
		SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_NR_UNKN)
#define ADDRESS_MAX 256

static sfsistat no_reply(SMFICTX *ctx)
{
	return smfi_getpriv(ctx) ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* The private datum tells the modes apart; it is no memory. */
static sfsistat negotiate_silent(SMFICTX *ctx, unsigned long actions, unsigned long steps,
	unsigned long f2, unsigned long f3, unsigned long *ret_actions,
	unsigned long *ret_steps, unsigned long *ret_f2, unsigned long *ret_f3)
{
	static char mark;

	(void)f2;
	(void)f3;
	smfi_setpriv(ctx, &mark);
	*ret_actions = actions;
	*ret_steps = steps & NO_REPLIES;
	*ret_f2 = *ret_f3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat negotiate_every(SMFICTX *ctx, unsigned long actions, unsigned long steps,
	unsigned long f2, unsigned long f3, unsigned long *ret_actions,
	unsigned long *ret_steps, unsigned long *ret_f2, unsigned long *ret_f3)
{
	(void)ctx;
	(void)steps;
	(void)f2;
	(void)f3;
	*ret_actions = actions;
	*ret_steps = *ret_f2 = *ret_f3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
	(void)name;
	(void)address;
	return no_reply(ctx);
}

static sfsistat on_text(SMFICTX *ctx, char *text)
{
	(void)text;
	return no_reply(ctx);
}

static sfsistat on_path(SMFICTX *ctx, char **words)
{
	(void)words;
	return no_reply(ctx);
}

static sfsistat on_field(SMFICTX *ctx, char *name, char *value)
{
	(void)name;
	(void)value;
	return no_reply(ctx);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *text, size_t n)
{
	(void)text;
	(void)n;
	return no_reply(ctx);
}

static sfsistat on_end(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

/* libmilter frees what is private without asking. */
static sfsistat on_close(SMFICTX *ctx)
{
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
	char name[] = "bench";
	struct smfiDesc all = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_text,
		.xxfi_envfrom = on_path,
		.xxfi_envrcpt = on_path,
		.xxfi_header = on_field,
		.xxfi_eoh = no_reply,
		.xxfi_body = on_body,
		.xxfi_eom = on_end,
		.xxfi_close = on_close,
		.xxfi_data = no_reply,
		.xxfi_negotiate = negotiate_every,
	};
	struct smfiDesc none = { .xxfi_name = name, .xxfi_version = SMFI_VERSION };
	char address[ADDRESS_MAX];

	if (argc != 3 || strlen(argv[1]) > ADDRESS_MAX - sizeof("unix:")) {
		fputs("usage: filter SOCKET nothing|silent|every\n", stderr);
		return 1;
	}
	if (strcmp(argv[2], "silent") == 0)
		all.xxfi_negotiate = negotiate_silent;
	snprintf(address, sizeof(address), "unix:%s", argv[1]);
	umask(0);
	unlink(argv[1]);
	if (smfi_setconn(address) != MI_SUCCESS ||
		smfi_register(strcmp(argv[2], "nothing") == 0 ? none : all) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
