// The components that extrema have grown into: a union-find in which the root is the oldest extremum, the one that enters the
// filtration first.
#pragma once

#include <cstddef>

#include "common/buffer.hpp"
#include "common/values.hpp"

namespace topolayer {

template <class Value>
class Components {
public:
    using Word = Key<Value>;

    // So many, each alone, by labels; the keys are set afterwards. Of equal keys the earlier label is older, but not in a
    // reversed order.
    void renew(Label count, bool reversed) {
        reversed_ = reversed;
        nodes_.renew(count);
        for (Label label = 0; label < count; ++label) nodes_[label].parent = label;
    }

    Word& key(Label label) { return nodes_[label].key; }

    // Label `a` is older than `b`.
    bool older(Label a, Label b) const {
        const Word first = nodes_[a].key, second = nodes_[b].key;
        return (first < second) | ((first == second) & ((a < b) != reversed_));
    }

    bool is_root(Label label) const { return nodes_[label].parent == label; }

    Label root(const Label label) {
        Label oldest = label;
        do {
            for (int steps = 0; steps < 3; ++steps) oldest = nodes_[oldest].parent;
        } while (nodes_[oldest].parent != oldest);
        nodes_[label].parent = oldest;
        return oldest;
    }

    void attach(Label younger_root, Label older_root) { nodes_[younger_root].parent = older_root; }

    void prefetch(Label label) const { topolayer::prefetch(&nodes_[label]); }
    void prefetch_parent(Label label) const { prefetch(nodes_[label].parent); }

    std::size_t bytes() const { return nodes_.bytes(); }

private:
    struct Node {
        Label parent;
        Word key;
    };

    bool reversed_ = false;
    Buffer<Node> nodes_;
};

}  // namespace topolayer
