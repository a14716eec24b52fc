/* SPDX-License-Identifier: ISC */
/* A trace does not tell what was said to log in: "C: AUTH PLAIN ****", "C: ****". */
#pragma once

#include "dialogue.h"

/*
 * Puts something in the place of each exchange with a mask in it that comes to the same reply: "user" with the
 * right password, or a wrong one, by PLAIN; or an exchange that is cancelled. Others stay as they are, and
 * the mask is then a response that cannot be read. Where `users` is "any", another list of mechanisms in a reply to
 * EHLO is as good.
 */
void masks_fill(struct dialogue *d);
