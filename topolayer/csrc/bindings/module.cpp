// The module `topolayer._core`. The bindings unpack arrays, release the GIL, call what the rooms' batch.hpp have, and pack the
// result. The names and docstrings are those of topolayer/_core.pyi, which is made from them.
#include "bindings/arrays.hpp"

NB_MODULE(_core, m) {
    m.doc() = "The C++ core. Indices are flat into the whole array of values, in which offsets say where each sample begins; bars come in "
              "the order that `Barcode` documents. Vertices are numbered within a sample, whose graph or complex is its own or that of all.";
    nanobind::enum_<topolayer::Comparison>(m, "Comparison")
        .value("UNION", topolayer::Comparison::union_)
        .value("INTERSECTION", topolayer::Comparison::intersection);
    topolayer::bind_grids(m);
    topolayer::bind_matchings_of_grids(m);
    topolayer::bind_slabs(m);
    topolayer::bind_graphs(m);
    topolayer::bind_complexes(m);
    topolayer::bind_rips(m);
}
