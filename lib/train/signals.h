/* signals.h -- what a long run does when it is interrupted: finish the step, save, then obey. */
#ifndef DTN_SIGNALS_H
#define DTN_SIGNALS_H

#include <stdbool.h>

/* From now on SIGUSR1 and SIGINFO ask for a line of progress; SIGPIPE is ignored, as
 * the result is a file. */
void dtn_signals_begin(void);

/* From now on SIGINT, SIGTERM and SIGHUP are noted, unless they are ignored; a second one kills at
 * once. */
void dtn_signals_catch(void);

int dtn_interrupted(void);              /* the signal that came, or 0 */
bool dtn_progress_wanted(void);         /* true once for each request */

/* The noted signals kill again. */
void dtn_signals_release(void);

/* Die of this signal, as if it had never been caught. */
_Noreturn void dtn_signals_obey(int sig);

#endif
