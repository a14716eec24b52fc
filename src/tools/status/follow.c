/* SPDX-License-Identifier: ISC */
/*
 * Draws the panel on a terminal repeatedly, in place, and restores the terminal at the
 * end. Counting takes at most a tenth of the time, for any number of records. The
 * alternate screen is not used, so that the last panel stays visible.
 */
#include "tools/status/status.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"

#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"
/* hides the cursor and cuts long lines; END reverts this */
#define BEGIN "\033[?7l\033[?25l"
#define END "\033[?7h\033[?25h"

#define SECOND 1000 /* milliseconds */
#define RECOUNT (10 * SECOND) /* interval without new records, because the window moves */
#define SHARE 10 /* counting takes at most this fraction of the time */

struct follow {
	const struct status_show *show;
	struct status_panel panel;
	int signals;
	bool has_keys; /* standard input is the terminal, in single-key mode */
	struct termios lines; /* the mode to restore */
	bool ended;
	uint64_t counted; /* milliseconds: time of the last count, and its duration */
	uint64_t took;
	bool stale; /* there are new records */
};

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void put_now(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

/* Overwrites the screen with the lines of `text` that fit. */
static void draw_text(const struct status_view *v, const char *text)
{
	size_t left = v->height ? v->height - 1 : SIZE_MAX;

	fputs(HOME, stdout);
	for (; *text && left; left--) {
		size_t n = strcspn(text, "\n");

		/* after a line as wide as the window it would erase the last column */
		fputs(CLEAR_LINE, stdout);
		fwrite(text, 1, n, stdout);
		putc('\n', stdout);
		text += n + (text[n] == '\n');
	}
	put_now(CLEAR_REST);
}

static void draw(struct follow *f)
{
	OWNED char *text = NULL;
	struct status_view v;
	size_t n = 0;

	status_view_init(&v, f->show->colours);
	v.hosts = f->show->options->n_files > 1;
	v.now = time(NULL);
	v.to = open_memstream(&text, &n);
	if (!v.to)
		return;
	status_panel_put(&f->panel, &v);
	fclose(v.to);
	draw_text(&v, text);
}

static int recount(struct follow *f)
{
	uint64_t start = clock_ms();
	int r = status_show_count(f->show, time(NULL), &f->panel);

	f->counted = clock_ms();
	f->took = f->counted - start;
	f->stale = false;
	return r;
}

/* Returns the milliseconds until the next count. */
static uint64_t time_to_count(const struct follow *f)
{
	uint64_t pause = f->stale ? f->took * (SHARE - 1) : RECOUNT;
	uint64_t since = clock_ms() - f->counted;

	if (pause < f->took * (SHARE - 1))
		pause = f->took * (SHARE - 1);
	return since < pause ? pause - since : 0;
}

/* True in the foreground. In the background using the terminal would stop the process. */
static bool is_foreground(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* Sets the single-key mode without echo. */
static void begin_keys(struct follow *f)
{
	struct termios keys;

	if (!is_foreground() || tcgetattr(STDIN_FILENO, &f->lines) < 0)
		return;
	keys = f->lines;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 1;
	keys.c_cc[VTIME] = 0;
	f->has_keys = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
}

static void end_keys(struct follow *f)
{
	if (f->has_keys && is_foreground())
		tcsetattr(STDIN_FILENO, TCSANOW, &f->lines);
	f->has_keys = false;
}

static void take_key(struct follow *f)
{
	char key;

	if (!is_foreground())
		return;
	/* also when the terminal is closed */
	if (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q')
		f->ended = true;
}

static void suspend(struct follow *f)
{
	end_keys(f);
	put_now(END);
	raise(SIGSTOP);
	put_now(BEGIN);
	begin_keys(f);
}

static void take_signal(struct follow *f)
{
	struct signalfd_siginfo info;

	if (read(f->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		suspend(f);
	else if (info.ssi_signo != SIGWINCH)
		f->ended = true;
}

/* Waits for at most a second, because the panel shows the time. 0 or -errno. */
static int wait_for_input(struct follow *f)
{
	struct status_source *source = f->show->source;
	struct pollfd fds[3] = { { .fd = f->signals, .events = POLLIN } };
	int limit, r, wait = SECOND;

	source->ops->wait_for(source, &fds[1], &limit);
	if (f->stale) {
		/* new records are known already */
		fds[1].fd = -1;
		wait = time_to_count(f) < SECOND ? (int)time_to_count(f) : SECOND;
	} else if (limit >= 0 && limit < wait) {
		wait = limit;
	}
	fds[2] =
		(struct pollfd){ .fd = f->has_keys && is_foreground() ? STDIN_FILENO : -1,
			.events = POLLIN };
	if (poll(fds, 3, wait) < 0 && errno != EINTR)
		return -errno;
	if (fds[0].revents)
		take_signal(f);
	if (fds[2].revents)
		take_key(f);
	r = source->ops->look(source);
	f->stale = f->stale || r > 0;
	return r < 0 ? r : 0;
}

static int open_signals(void)
{
	static const int asked[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP,
		SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		sigaddset(&set, asked[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Scrolls the screen up, so that its text stays in the history. */
static void make_room(void)
{
	struct status_view v;

	status_view_init(&v, false);
	for (size_t i = 0; i < v.height; i++)
		putc('\n', stdout);
	put_now(BEGIN);
}

int status_follow(const struct status_show *show)
{
	struct follow f = { .show = show, .signals = open_signals() };
	int r;

	if (f.signals < 0)
		return -errno;
	make_room();
	begin_keys(&f);
	r = recount(&f);
	while (r >= 0 && !f.ended && !ferror(stdout)) {
		draw(&f);
		r = wait_for_input(&f);
		if (r >= 0 && !f.ended && time_to_count(&f) == 0)
			r = recount(&f);
	}
	end_keys(&f);
	put_now(END);
	close(f.signals);
	return r;
}
