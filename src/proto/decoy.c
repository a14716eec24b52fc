/* Promises a real verifier of the kind that is most frequent; refuses to know whose it is. */
#include "proto/decoy.h"

void decoys_count(struct decoys *d, struct span value)
{
	struct verifier v;
	size_t i = 0;

	if (verifier_parse(value, &v))
		return;
	while (i < d->n && !verifier_alike(&v, &d->kinds[i].verifier))
		i++;
	if (i == DECOY_KINDS_MAX)
		return;
	if (i == d->n) {
		memcpy(d->kinds[i].text, value.p, value.n);
		verifier_parse((struct span){ d->kinds[i].text, value.n },
			&d->kinds[i].verifier);
		d->n++;
	}
	d->kinds[i].n++;
}

static const struct decoy *most_frequent(const struct decoys *d, bool any)
{
	const struct decoy *most = NULL;

	for (size_t i = 0; i < d->n; i++) {
		const struct decoy *k = &d->kinds[i];
		if (!any && k->verifier.kind != VERIFIER_SCRAM)
			continue;
		if (!most || k->n > most->n)
			most = k;
	}
	return most;
}

const struct decoy *decoys_any(const struct decoys *d)
{
	return most_frequent(d, true);
}

const struct decoy *decoys_scram(const struct decoys *d)
{
	return most_frequent(d, false);
}
