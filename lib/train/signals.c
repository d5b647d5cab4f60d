/* signals.c -- signals are noted here and looked at between steps. */
#include "lib/train/signals.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP };
enum { DEADLY = sizeof(deadly) / sizeof(deadly[0]) };

static struct sigaction before[DEADLY];
static volatile sig_atomic_t interrupted, wanted;

static void want(int sig)
{
	(void)sig;
	wanted = 1;
}

/* The second signal goes to whoever handled it before us, who removes unfinished files. */
static void note(int sig)
{
	if (!interrupted) {
		interrupted = sig;
		return;
	}
	for (int i = 0; i < DEADLY; i++)
		if (deadly[i] == sig)
			sigaction(sig, &before[i], NULL);
	raise(sig);
}

static void handle(int sig, void (*handler)(int))
{
	/* Reading the data goes on after the signal. */
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(sig, &action, NULL);
}

void dtn_signals_begin(void)
{
	handle(SIGUSR1, want);
#ifdef SIGINFO
	handle(SIGINFO, want);
#endif
	signal(SIGPIPE, SIG_IGN);
}

void dtn_signals_catch(void)
{
	for (int i = 0; i < DEADLY; i++)
		if (sigaction(deadly[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
			handle(deadly[i], note);
}

int dtn_interrupted(void)
{
	return interrupted;
}

bool dtn_progress_wanted(void)
{
	bool now = wanted;

	wanted = 0;
	return now;
}

void dtn_signals_release(void)
{
	for (int i = 0; i < DEADLY; i++)
		if (before[i].sa_handler != SIG_IGN)
			sigaction(deadly[i], &before[i], NULL);
}

void dtn_signals_obey(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	_exit(128 + sig);
}
