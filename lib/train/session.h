/* session.h -- all that a run of training has: its data, network, files and limits. */
#ifndef DTN_SESSION_H
#define DTN_SESSION_H

#include "lib/train/log.h"
#include "lib/train/preview.h"
#include "lib/train/progress.h"
#include "lib/train/store.h"
#include "lib/train/train.h"

struct dtn_session {
	const struct dtn_training *job;
	struct dtn_settings settings;
	const struct dtn_backend *backend;
	int type, threads, workers;     /* of computing; all; those that compute */
	struct dtn_data data, other;    /* to train on; to validate on, if a stream was given */
	struct dtn_store store;
	struct dtn_trainer trainer;
	struct dtn_validator validator;
	bool validates;
	struct dtn_preview preview;     /* if the job wants samples */
	struct dtn_model origin;        /* the model to begin with, if there is one */
	struct dtn_progress progress;
	struct dtn_log log;
	struct dtn_limits limits;
	int64_t val_every;
	bool ended;                     /* the step just told of was the last */
	bool checkpointed;              /* there is a checkpoint of this training */
	double begun, before;           /* clock; seconds of the runs that this one continues */
	double saved;                   /* clock */
};

/* Check everything, read the data, set up the network; the next thing is a step. */
void dtn_session_prepare(struct dtn_session *, const struct dtn_training *,
			 const struct dtn_settings *wanted);
void dtn_session_release(struct dtn_session *);

/* On the way there: what the model's file will say besides the weights; and to a person at a
 * terminal, in a line, what begins, with -v more. */
void dtn_session_describe(struct dtn_session *);
void dtn_session_say(const struct dtn_session *);

#endif
