#include "charset_names.h"

enum { ALIAS_MAX = 24 };

/*
 * What mail uses, by the names that mail uses. A superset stands for a set whose name
 * writers use for it: GB18030 for GB2312, UHC for KS C 5601, CP932 for Shift_JIS (as the
 * WHATWG's Encoding Standard has found them to mean).
 */
static const struct charset_name rows[] = {
    {"utf8", NULL, CHARSET_UTF8},
    {"unicode11utf8", NULL, CHARSET_UTF8},
    {"usascii", NULL, CHARSET_ASCII},
    {"ascii", NULL, CHARSET_ASCII},
    {"ansix341968", NULL, CHARSET_ASCII},
    {"iso646us", NULL, CHARSET_ASCII},
    {"iso88591", NULL, CHARSET_LATIN},
    {"isoir100", NULL, CHARSET_LATIN},
    {"latin1", NULL, CHARSET_LATIN},
    {"l1", NULL, CHARSET_LATIN},
    {"windows1252", NULL, CHARSET_LATIN},
    {"cp1252", NULL, CHARSET_LATIN},
    {"utf16", "UTF-16BE", CHARSET_UTF16},
    {"unicode", "UTF-16LE", CHARSET_UTF16},
    {"ucs2", "UTF-16BE", CHARSET_UTF16},
    {"utf16be", "UTF-16BE", CHARSET_ICONV},
    {"utf16le", "UTF-16LE", CHARSET_ICONV},
    {"utf32", "UTF-32", CHARSET_ICONV},
    {"utf32be", "UTF-32BE", CHARSET_ICONV},
    {"utf32le", "UTF-32LE", CHARSET_ICONV},
    {"utf7", "UTF-7", CHARSET_ICONV},
    {"unicode11utf7", "UTF-7", CHARSET_ICONV},
    {"iso88592", "ISO-8859-2", CHARSET_ICONV},
    {"latin2", "ISO-8859-2", CHARSET_ICONV},
    {"iso88593", "ISO-8859-3", CHARSET_ICONV},
    {"iso88594", "ISO-8859-4", CHARSET_ICONV},
    {"iso88595", "ISO-8859-5", CHARSET_ICONV},
    {"iso88596", "ISO-8859-6", CHARSET_ICONV},
    {"iso88596i", "ISO-8859-6", CHARSET_ICONV},
    {"iso88596e", "ISO-8859-6", CHARSET_ICONV},
    {"iso88597", "ISO-8859-7", CHARSET_ICONV},
    {"iso88598", "ISO-8859-8", CHARSET_ICONV},
    {"iso88598i", "ISO-8859-8", CHARSET_ICONV},
    {"iso88598e", "ISO-8859-8", CHARSET_ICONV},
    {"iso88599", "WINDOWS-1254", CHARSET_ICONV},
    {"latin5", "WINDOWS-1254", CHARSET_ICONV},
    {"iso885910", "ISO-8859-10", CHARSET_ICONV},
    {"iso885911", "WINDOWS-874", CHARSET_ICONV},
    {"iso885913", "ISO-8859-13", CHARSET_ICONV},
    {"iso885914", "ISO-8859-14", CHARSET_ICONV},
    {"iso885915", "ISO-8859-15", CHARSET_ICONV},
    {"latin9", "ISO-8859-15", CHARSET_ICONV},
    {"iso885916", "ISO-8859-16", CHARSET_ICONV},
    {"windows1250", "WINDOWS-1250", CHARSET_ICONV},
    {"cp1250", "WINDOWS-1250", CHARSET_ICONV},
    {"windows1251", "WINDOWS-1251", CHARSET_ICONV},
    {"cp1251", "WINDOWS-1251", CHARSET_ICONV},
    {"windows1253", "WINDOWS-1253", CHARSET_ICONV},
    {"cp1253", "WINDOWS-1253", CHARSET_ICONV},
    {"windows1254", "WINDOWS-1254", CHARSET_ICONV},
    {"cp1254", "WINDOWS-1254", CHARSET_ICONV},
    {"windows1255", "WINDOWS-1255", CHARSET_ICONV},
    {"cp1255", "WINDOWS-1255", CHARSET_ICONV},
    {"windows1256", "WINDOWS-1256", CHARSET_ICONV},
    {"cp1256", "WINDOWS-1256", CHARSET_ICONV},
    {"windows1257", "WINDOWS-1257", CHARSET_ICONV},
    {"cp1257", "WINDOWS-1257", CHARSET_ICONV},
    {"windows1258", "WINDOWS-1258", CHARSET_ICONV},
    {"cp1258", "WINDOWS-1258", CHARSET_ICONV},
    {"windows874", "WINDOWS-874", CHARSET_ICONV},
    {"cp874", "WINDOWS-874", CHARSET_ICONV},
    {"tis620", "WINDOWS-874", CHARSET_ICONV},
    {"koi8r", "KOI8-R", CHARSET_ICONV},
    {"koi8", "KOI8-R", CHARSET_ICONV},
    {"koi8u", "KOI8-U", CHARSET_ICONV},
    {"cp437", "CP437", CHARSET_ICONV},
    {"ibm437", "CP437", CHARSET_ICONV},
    {"cp850", "CP850", CHARSET_ICONV},
    {"ibm850", "CP850", CHARSET_ICONV},
    {"cp852", "CP852", CHARSET_ICONV},
    {"ibm852", "CP852", CHARSET_ICONV},
    {"cp866", "CP866", CHARSET_ICONV},
    {"ibm866", "CP866", CHARSET_ICONV},
    {"macintosh", "MACINTOSH", CHARSET_ICONV},
    {"xmacroman", "MACINTOSH", CHARSET_ICONV},
    {"xmaccyrillic", "MAC-CYRILLIC", CHARSET_ICONV},
    {"viscii", "VISCII", CHARSET_ICONV},
    {"gb2312", "GB18030", CHARSET_ICONV},
    {"gb231280", "GB18030", CHARSET_ICONV},
    {"euccn", "GB18030", CHARSET_ICONV},
    {"gbk", "GB18030", CHARSET_ICONV},
    {"xgbk", "GB18030", CHARSET_ICONV},
    {"cp936", "GB18030", CHARSET_ICONV},
    {"gb18030", "GB18030", CHARSET_ICONV},
    {"big5", "BIG5-HKSCS", CHARSET_ICONV},
    {"big5hkscs", "BIG5-HKSCS", CHARSET_ICONV},
    {"cnbig5", "BIG5-HKSCS", CHARSET_ICONV},
    {"cp950", "BIG5-HKSCS", CHARSET_ICONV},
    {"euctw", "EUC-TW", CHARSET_ICONV},
    {"iso2022cn", "ISO-2022-CN", CHARSET_ICONV},
    {"iso2022jp", "ISO-2022-JP-3", CHARSET_ICONV},
    {"iso2022jp1", "ISO-2022-JP-2", CHARSET_ICONV},
    {"iso2022jp2", "ISO-2022-JP-2", CHARSET_ICONV},
    {"shiftjis", "CP932", CHARSET_ICONV},
    {"sjis", "CP932", CHARSET_ICONV},
    {"xsjis", "CP932", CHARSET_ICONV},
    {"mskanji", "CP932", CHARSET_ICONV},
    {"windows31j", "CP932", CHARSET_ICONV},
    {"cp932", "CP932", CHARSET_ICONV},
    {"eucjp", "EUC-JP-MS", CHARSET_ICONV},
    {"xeucjp", "EUC-JP-MS", CHARSET_ICONV},
    {"euckr", "UHC", CHARSET_ICONV},
    {"ksc5601", "UHC", CHARSET_ICONV},
    {"ksc56011987", "UHC", CHARSET_ICONV},
    {"ksc56011989", "UHC", CHARSET_ICONV},
    {"windows949", "UHC", CHARSET_ICONV},
    {"cp949", "UHC", CHARSET_ICONV},
    {"iso2022kr", "ISO-2022-KR", CHARSET_ICONV},
};

const struct charset_name *charset_row(size_t index)
{
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

const struct charset_name *charset_find(struct pn_str name)
{
    char alias[ALIAS_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = pn_lower(name.p[i]);
        if (!pn_is_digit(c) && !pn_is_alpha(c))
            continue;
        if (n == ALIAS_MAX)
            return NULL;
        alias[n++] = c;
    }
    alias[n] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].alias, alias) == 0)
            return &rows[i];
    return NULL;
}
