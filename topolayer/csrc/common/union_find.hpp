// Disjoint sets. The caller attaches younger roots to older ones, so that a root is its set's oldest element (elder rule).
#pragma once

#include <cstdint>
#include <vector>

namespace topolayer {

class UnionFind {
public:
    using Element = std::uint32_t;

    void reset(std::size_t size) {
        parent_.resize(size);
        for (std::size_t i = 0; i < size; ++i) parent_[i] = static_cast<Element>(i);
    }

    Element root(Element element) {
        while (parent_[element] != element) {
            parent_[element] = parent_[parent_[element]];  // path halving
            element = parent_[element];
        }
        return element;
    }

    bool is_root(Element element) const { return parent_[element] == element; }

    void attach(Element younger_root, Element older_root) { parent_[younger_root] = older_root; }

private:
    std::vector<Element> parent_;
};

}  // namespace topolayer
