/* Promises a list of networks or a sentence about the word that is none. */
#include "edge/settings/config-keys.h"
#include <stdlib.h>
#include "base/cleanup.h"

#define BLANKS " \t"
#define FAULT_MAX 160 /* a word and a sentence */

/* The next word, and `text` behind it; empty at the end. */
static struct span next_word(const char **text)
{
	const char *word = *text + strspn(*text, BLANKS);
	size_t n = strcspn(word, BLANKS);

	*text = word + n;
	return (struct span){ word, n };
}

static size_t count_words(const char *text)
{
	size_t n = 0;

	while (next_word(&text).n)
		n++;
	return n;
}

/* "word what is wrong with it". The memory is the row's, and not touched by its default. */
static const char *word_fault(char **row, struct span word, const char *what)
{
	char text[FAULT_MAX];

	snprintf(text, sizeof(text), "%.*s %s", word.n < 60 ? (int)word.n : 60, word.p,
		what);
	free(*row);
	return *row = strdup(text);
}

const char *config_parse_networks(
	struct config *c, const struct config_key *key, const char *text)
{
	struct networks *networks = (struct networks *)((char *)c + key->offset);
	char **row = &c->more[key - config_keys];
	size_t n = count_words(text);
	OWNED struct network *list = n ? malloc(n * sizeof(*list)) : NULL;

	*networks = (struct networks){ 0 };
	if (n && !list)
		return "out of memory";
	for (size_t i = 0; i < n; i++) {
		struct span word = next_word(&text);
		const char *what = network_parse(word, &list[i]);
		if (what)
			return word_fault(row, word, what);
	}
	if (n) {
		free(*row);
		*row = (char *)list;
		*networks = (struct networks){ steal(&list), n };
	}
	return NULL;
}
