// Every float32 there is: its text is the shortest and nearest by the C++ library's to_chars, strtof
// and float_read restore it, the vector writer writes the same. A STEP above 1 takes a sample.
extern "C" {
#include "api/floats.h"
#include "api/floats_inner.h"
}

#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

enum { BLOCK = 4096 };
static std::atomic<uint64_t> checked{ 0 }, wrong{ 0 }, next_block{ 0 };

static void complain(uint32_t bits, const std::string &text, const char *what)
{
    if (wrong++ < 20)
        std::printf("%08x is written as %s: %s\n", bits, text.c_str(), what);
}

// Digits without zeros at either end, and the power of ten of the last.
struct decimal {
    uint64_t digits = 0;
    int exponent = 0;

    explicit decimal(const char *p, const char *end)
    {
        bool behind = false;

        for (p += *p == '-'; p < end && *p != 'e'; p++) {
            if (*p == '.') {
                behind = true;
                continue;
            }
            digits = digits * 10 + static_cast<uint64_t>(*p - '0');
            exponent -= behind;
        }
        if (p < end)
            exponent += std::atoi(p + 1 + (p[1] == '+'));
        while (digits && digits % 10 == 0)
            digits /= 10, exponent++;
    }
    bool operator!=(const decimal &other) const
    {
        return digits != other.digits || (digits && exponent != other.exponent);
    }
};

static void check(uint32_t bits, char *text, char *end)
{
    char known[64], negative[64], *last;
    float value, back, minus;

    std::memcpy(&value, &bits, 4);
    if (!std::isfinite(value)) {
        if (end - text != 4 || std::memcmp(text, "null", 4))
            complain(bits, std::string(text, end), "it is no number");
        return;
    }
    last = std::to_chars(known, known + sizeof known, value, std::chars_format::scientific).ptr;
    *last = 0;
    if (decimal(text, end) != decimal(known, last))
        complain(bits, std::string(text, end), "to_chars differs");
    char comma = *end;
    *end = 0;
    back = std::strtof(text, nullptr);
    *end = comma;
    if (std::memcmp(&back, &value, 4))
        complain(bits, std::string(text, end), "strtof reads another number");
    if (float_read(text, &back) != end || std::memcmp(&back, &value, 4))
        complain(bits, std::string(text, end), "float_read reads another number");
    minus = -value;
    if (float_write(negative, minus) - negative != end - text + 1 || negative[0] != '-' ||
        std::memcmp(negative + 1, text, static_cast<size_t>(end - text)))
        complain(bits, std::string(text, end), "its negative differs");
}

static void check_blocks(uint64_t step)
{
    std::vector<float> values(BLOCK);
    std::vector<uint32_t> bits(BLOCK);
    std::vector<char> text(BLOCK * FLOAT_TEXT + FLOATS_SLACK), other(text.size());

    for (;;) {
        uint64_t from = next_block++ * BLOCK * step;
        size_t count = 0;
        char *at = text.data(), *end;

        for (uint64_t b = from; b < 0x80000000 && count < BLOCK; b += step, count++) {
            bits[count] = static_cast<uint32_t>(b);
            std::memcpy(&values[count], &bits[count], 4);
        }
        if (!count)
            return;
        end = floats_write_portable(text.data(), values.data(), count);
        if (floats_have_avx512() &&
            (floats_write_avx512(other.data(), values.data(), count) - other.data() !=
                 end - text.data() ||
             std::memcmp(text.data(), other.data(), static_cast<size_t>(end - text.data()))))
            complain(bits[0], "...", "the vector writer differs in this block");
        for (size_t i = 0; i < count; i++) {
            char *comma = static_cast<char *>(std::memchr(at, ',', FLOAT_TEXT));

            check(bits[i], at, comma);
            at = comma + 1;
        }
        checked += 2 * count; // and their negatives
    }
}

int main(int argc, char **argv)
{
    uint64_t step = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    std::vector<std::thread> threads;

    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); i++)
        threads.emplace_back(check_blocks, step ? step : 1);
    for (auto &thread : threads)
        thread.join();
    std::printf("%llu floats checked, %llu wrong\n", (unsigned long long)checked,
                (unsigned long long)wrong);
    return wrong != 0;
}
