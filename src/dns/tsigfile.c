/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/crypto.h>

#include "dns/tsig.h"

#define TOKEN_MAX 1024 /* a secret of TSIG_SECRET_MAX octets is 684 */

enum token_kind {
        TOKEN_END,
        TOKEN_WORD, /* also a quoted one */
        TOKEN_OPEN,
        TOKEN_CLOSE,
        TOKEN_SEMICOLON,
        TOKEN_BAD,
};

struct lexer {
        const char *text;
        size_t length, position;
        char word[TOKEN_MAX];
};

static bool starts_with(const struct lexer *lexer, const char *start)
{
        size_t n = strlen(start);

        return lexer->length - lexer->position >= n && memcmp(lexer->text + lexer->position, start, n) == 0;
}

static void skip_line(struct lexer *lexer)
{
        while (lexer->position < lexer->length && lexer->text[lexer->position] != '\n')
                lexer->position++;
}

static bool skip_block(struct lexer *lexer)
{
        const char *begin = lexer->text + lexer->position + 2;
        const char *end = memmem(begin, lexer->length - lexer->position - 2, "*/", 2);

        if (!end)
                return false;

        lexer->position = (size_t) (end - lexer->text) + 2;
        return true;
}

/* Blanks and the comments of named.conf. False: a comment without end. */
static bool skip_blanks(struct lexer *lexer)
{
        while (lexer->position < lexer->length) {
                if (strchr(" \t\r\n", lexer->text[lexer->position]) && lexer->text[lexer->position] != 0)
                        lexer->position++;
                else if (starts_with(lexer, "#") || starts_with(lexer, "//"))
                        skip_line(lexer);
                else if (starts_with(lexer, "/*")) {
                        if (!skip_block(lexer))
                                return false;
                } else
                        break;
        }

        return true;
}

static bool is_end_of_word(char c, bool quoted)
{
        if (quoted)
                return c == '"' || c == '\n';

        return c == 0 || strchr(" \t\r\n{};\"", c);
}

static enum token_kind read_word(struct lexer *lexer)
{
        bool quoted = lexer->text[lexer->position] == '"';
        size_t n = 0;

        lexer->position += quoted;
        while (lexer->position < lexer->length && !is_end_of_word(lexer->text[lexer->position], quoted)) {
                char c = lexer->text[lexer->position++];

                if (c == 0 || n + 1 >= sizeof(lexer->word))
                        return TOKEN_BAD;
                lexer->word[n++] = c;
        }
        lexer->word[n] = 0;

        if (!quoted)
                return n > 0 ? TOKEN_WORD : TOKEN_BAD;
        if (lexer->position == lexer->length || lexer->text[lexer->position] != '"')
                return TOKEN_BAD;
        lexer->position++;
        return TOKEN_WORD;
}

static enum token_kind next_token(struct lexer *lexer)
{
        if (!skip_blanks(lexer))
                return TOKEN_BAD;
        if (lexer->position == lexer->length)
                return TOKEN_END;

        switch (lexer->text[lexer->position]) {
        case '{':
                lexer->position++;
                return TOKEN_OPEN;
        case '}':
                lexer->position++;
                return TOKEN_CLOSE;
        case ';':
                lexer->position++;
                return TOKEN_SEMICOLON;
        default:
                return read_word(lexer);
        }
}

static bool next_is_word(struct lexer *lexer, const char *word)
{
        return next_token(lexer) == TOKEN_WORD && (!word || streq(lexer->word, word));
}

/* Inside the braces: "algorithm WORD;" and "secret WORD;", each once, in any order. */
static const char *parse_statements(struct lexer *lexer, struct tsig_key *key)
{
        bool has_algorithm = false, has_secret = false;
        enum token_kind kind;

        while ((kind = next_token(lexer)) == TOKEN_WORD) {
                bool is_algorithm = streq(lexer->word, "algorithm");
                bool *seen = is_algorithm ? &has_algorithm : &has_secret;

                if (!is_algorithm && !streq(lexer->word, "secret"))
                        return "only \"algorithm\" and \"secret\" may stand in a key";
                if (*seen)
                        return "\"algorithm\" or \"secret\" stands there twice";
                if (!next_is_word(lexer, NULL))
                        return "a value is missing";
                if (is_algorithm && tsig_algorithm_from_string(lexer->word, &key->algorithm) < 0)
                        return "the algorithm is unknown";
                if (!is_algorithm && tsig_key_set_secret(key, lexer->word) < 0)
                        return "the secret is not Base64";
                if (next_token(lexer) != TOKEN_SEMICOLON)
                        return "a semicolon is missing";
                *seen = true;
        }

        if (kind != TOKEN_CLOSE)
                return "a closing brace is missing";
        if (!has_algorithm || !has_secret)
                return "\"algorithm\" or \"secret\" is missing";
        return NULL;
}

static const char *parse_key(struct lexer *lexer, struct tsig_key *key)
{
        const char *why;

        if (!next_is_word(lexer, "key"))
                return "not a key file: it must begin with \"key\"";
        if (!next_is_word(lexer, NULL) || dns_name_parse(lexer->word, &key->name) < 0)
                return "the key's name is no domain name";
        if (next_token(lexer) != TOKEN_OPEN)
                return "an opening brace is missing";

        why = parse_statements(lexer, key);
        if (why)
                return why;

        if (next_token(lexer) != TOKEN_SEMICOLON)
                return "a semicolon is missing";
        if (next_token(lexer) != TOKEN_END)
                return "there is more than one key";
        return NULL;
}

int tsig_key_parse_file(const char *text, size_t length, struct tsig_key *ret, const char **why)
{
        struct lexer lexer = { .text = text, .length = length };
        struct tsig_key key = {};
        const char *reason;

        reason = parse_key(&lexer, &key);
        if (!reason)
                *ret = key;
        OPENSSL_cleanse(&key, sizeof(key));
        OPENSSL_cleanse(lexer.word, sizeof(lexer.word));

        if (why)
                *why = reason;
        return reason ? -EBADMSG : 0;
}
