/* Uses the installed C ABI as far as no model is needed: a failure told by status and sentence, the
 * version. */
#include <inlay/inlay.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  inlay_tokenizer* tokenizer = NULL;
  if (inlay_tokenizer_create("./no-such-folder", &tokenizer) != INLAY_NOT_FOUND) return 1;
  if (tokenizer != NULL || strstr(inlay_last_error(), "no-such-folder") == NULL) return 1;
  puts(inlay_version());
  return 0;
}
