/* train.h -- a whole run of training: from sample streams to a model file. */
#ifndef DTN_TRAIN_H
#define DTN_TRAIN_H

#include "lib/train/settings.h"

/* What does not change the weights that a given number of steps leads to. */
struct dtn_training {
	const struct dtn_args *args;    /* operands, output, threads, ... */
	bool resume, keep_best;
	int64_t steps, epochs;          /* limits, since the training began; 0: none */
	double seconds;
	int64_t save_every, val_every;  /* steps; 0: not given */
	const char *log, *validation;   /* a stream to validate on; NULL: none */
	const char *from;               /* a model to begin with; of no effect when resuming */
	int64_t sample_every;           /* steps; 0: never */
	const char *sample_to;          /* a folder for the pictures */
	const char *device, *precision;
	uint64_t max_memory;            /* for images, if `limited`; else half of the machine's */
	bool limited;
};

/* Train as asked; returns when the model file is complete.  Whatever is wrong ends the program. */
void dtn_train(const struct dtn_training *, const struct dtn_settings *);

#endif
