/* A whole request as the server would hand it over. The head is TYPE ACCEPT QUERY, separated by
 * blanks; a head that begins with ! is a plan. */
#include "tests/fuzz/answer.h"

static __typeof__(convolve_decode) *read_head(char *head, struct message *message)
{
    bool plan_only = *head == '!';

    head += plan_only;
    message->content_type = word(&head);
    message->accept = word(&head);
    message->query = head;
    return plan_only ? plan_decode : convolve_decode;
}
