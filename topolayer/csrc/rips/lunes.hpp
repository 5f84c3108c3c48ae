// The graph of the edges that have entered, as bit sets, and the lunes of the next ones.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/buffer.hpp"
#include "rips/edges.hpp"

namespace topolayer {

// The lune of an edge (i, j) are the points that both ends are joined with. Every point is joined with itself.
class Lunes {
public:
    void reset(std::int64_t points) {
        words_ = (static_cast<std::size_t>(points) + word_bits - 1) / word_bits;
        words_ += words_ % 2;  // whole vectors
        joined_.renew(static_cast<std::size_t>(points) * words_);
        std::fill(joined_.begin(), joined_.end(), Word{0});
        hub_.resize(static_cast<std::size_t>(points));
        for (Point point = 0; point < hub_.size(); ++point) {
            insert(point, point);
            hub_[point] = point;
        }
        rest_.renew(words_);
        reached_.renew(words_);
    }

    std::size_t words() const { return words_; }

    void insert(Point a, Point b) {
        row(a)[b / word_bits] |= Word{1} << b % word_bits;
        row(b)[a / word_bits] |= Word{1} << a % word_bits;
    }

    bool is_joined(Point a, Point b) const { return row(a)[b / word_bits] >> b % word_bits & 1; }

    // Whether both are joined with some point.
    bool are_near(Point a, Point b) const {
        const Word *const first = row(a), *const second = row(b);
        std::size_t w = 0;
        while (w < words_ && (first[w] & second[w]) == 0) ++w;
        return w < words_;
    }

    // Looks at the lune of an edge that has not entered; whether there are points in it.
    bool look(Point a, Point b) {
        const Word *const first = row(a), *const second = row(b);
        Word any = 0;
        for (std::size_t w = 0; w < words_; ++w) any |= rest_[w] = first[w] & second[w];
        a_ = a;
        b_ = b;
        return any != 0;
    }

    // A point of each component of the lune that was looked at.
    const std::vector<Point>& components() {
        points_.clear();
        std::fill(reached_.begin(), reached_.end(), Word{0});
        Point point = in_rest(hub_[a_]) ? hub_[a_] : in_rest(hub_[b_]) ? hub_[b_] : first_of_rest();
        do {
            points_.push_back(point);
            reach(point);
            if (points_.size() == 1 && first_of_rest() == none) hub_[a_] = hub_[b_] = point;
            while (reach_more()) {
            }
            point = first_of_rest();
        } while (point != none);
        return points_;
    }

    std::size_t bytes() const { return joined_.bytes() + rest_.bytes() + reached_.bytes() + hub_.capacity() * sizeof(Point); }

private:
    using Word = std::uint64_t;
    static constexpr std::size_t word_bits = 64;
    static constexpr Point none = ~Point{0};

    Word* row(Point point) { return &joined_[point * words_]; }
    const Word* row(Point point) const { return &joined_[point * words_]; }

    bool in_rest(Point point) const { return rest_[point / word_bits] >> point % word_bits & 1; }

    Point first_of_rest() const {
        for (std::size_t w = 0; w < words_; ++w)
            if (rest_[w]) return static_cast<Point>(w * word_bits) + static_cast<Point>(std::countr_zero(rest_[w]));
        return none;
    }

    // Moves a point of the rest, and what it is joined with there, to what is reached.
    void reach(Point point) {
        const Word* const joined = row(point);
        for (std::size_t w = 0; w < words_; ++w) {
            reached_[w] |= rest_[w] & joined[w];
            rest_[w] &= ~joined[w];
        }
    }

    // Looks from the rest, which is small mostly, not from what is reached.
    bool reach_more() {
        bool more = false;
        for (std::size_t w = 0; w < words_; ++w)
            for (Word left = rest_[w]; left; left &= rest_[w]) {
                const auto point = static_cast<Point>(w * word_bits) + static_cast<Point>(std::countr_zero(left));
                left &= left - 1;
                const Word* const joined = row(point);
                std::size_t v = 0;
                while (v < words_ && (joined[v] & reached_[v]) == 0) ++v;
                if (v == words_) continue;
                reach(point);
                more = true;
            }
        return more;
    }

    std::size_t words_ = 0;  // of a row
    Buffer<Word> joined_, rest_, reached_;
    std::vector<Point> hub_;  // of each point, one in whose reach all of a lune of its edges was
    std::vector<Point> points_;
    Point a_ = 0, b_ = 0;
};

}  // namespace topolayer
