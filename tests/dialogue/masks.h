/* SPDX-License-Identifier: ISC */
/* Masks in a trace, which replace the data of logins: "C: AUTH PLAIN ****", "C: ****". */
#pragma once

#include "dialogue.h"

/*
 * Replaces each exchange with a mask by one that gets the same reply: "user" with the right password, or a wrong one,
 * by PLAIN; or an exchange that is cancelled. Others are not changed; the mask is then a response that cannot be
 * parsed. If `users` is "any", a reply to EHLO may have another list of mechanisms.
 */
void masks_fill(struct dialogue *d);
