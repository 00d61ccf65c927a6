/* exp, log and cos that give the same bits on every machine. A libm's may differ by a last bit
 * from another's; these are nothing but additions, multiplications and divisions of doubles, which
 * IEEE 754 fixes. Good to about 1e-15. */
#pragma once

double elementary_exp(double x);     /* |x| <= 700 */
double elementary_log(double x);     /* x > 0, not subnormal */
double elementary_cos(double turns); /* cos(2 pi turns); quarters and sixths are exact */
