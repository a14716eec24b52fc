/* Promises that no address is taken for another; refuses to know whose list it is. */
#include "proto/senders.h"
#include "proto/address.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span next_word(struct span *list)
{
	struct span word;

	while (list->n && is_blank(*list->p))
		*list = span_from(*list, 1);
	word = (struct span){ list->p, 0 };
	while (word.n < list->n && !is_blank(list->p[word.n]))
		word.n++;
	*list = span_from(*list, word.n);
	return word;
}

bool senders_have(struct span list, struct span address)
{
	struct span word;

	if (address.n == 0)
		return true;
	while ((word = next_word(&list)).n) {
		bool is_domain = *word.p == '@' && address.n > word.n;
		struct span part =
			is_domain ? span_from(address, address.n - word.n) : address;
		if (span_eq(word, SPAN("*")) || span_ieq(word, part))
			return true;
	}
	return false;
}

static bool is_pattern(struct span word)
{
	const char *at = memrchr(word.p, '@', word.n);

	return span_eq(word, SPAN("*")) ||
	       (at && domain_valid_utf8(span_from(word, (size_t)(at - word.p) + 1)));
}

struct span senders_wrong(struct span list)
{
	struct span word;

	while ((word = next_word(&list)).n)
		if (!is_pattern(word))
			break;
	return word;
}
