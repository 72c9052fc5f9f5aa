//! The weighted rules by which a text is taken for an advertisement, as versioned data.
//!
//! Each rule is a name, a pattern and a weight; a rule that matches anywhere adds its weight
//! once, however often it matches. Positive weights speak for an advertisement, negative ones
//! for information: a transaction, a deadline, an office, a safety notice. The sum is compared
//! with the threshold of the set.
//!
//! Weights are on a small scale: 1 = a hint, 2 = enough where nothing speaks against it, 3 and
//! more = strong. Signs of information weigh more than signs of advertising, because a receipt
//! may well mention a coupon, and an advertisement seldom names an order number.
//!
//! To change anything, make a new version, so that a stored judgement can be explained later,
//! and run the labelled set (`tests/adverts.rs`). Texts arrive here with full-width signs
//! already turned into ASCII; patterns ignore case.

/// One reason to think a text an advertisement, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, in kebab-case; a judgement lists the names of the rules that matched.
    pub name: &'static str,
    /// Pattern in the syntax of the `regex` crate, matched anywhere, ignoring case.
    pub pattern: &'static str,
    /// What a match adds to the score, in points.
    pub weight: i32,
}

/// A version of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSet {
    /// Number of the version.
    pub version: u32,
    /// A text with this score or more looks like an advertisement, in points.
    pub threshold: i32,
    /// The rules, those for an advertisement first.
    pub rules: &'static [Rule],
}

/// The version in force.
pub const CURRENT: &RuleSet = &RuleSet { version: 1, threshold: 2, rules: RULES_V1 };

const RULES_V1: &[Rule] = &[
    // What an advertisement says of itself.
    rule("marked", r"^\s*[(\[<]광고[)\]>]", 6),
    rule("opt-out", r"무료\s*(수신\s*)?거부|수신거부\s*:?\s*080", 4),
    // Lower prices.
    rule(
        "discount",
        r"할\s?인|세일|\d+\s?%\s*(싸|저렴|인하|off|↓)|저렴|(?-u:\b)sale(?-u:\b)|discount|clearance|(?-u:\b)off(?-u:\b)",
        3,
    ),
    rule("half-price", r"반값|절반\s?(가격|값)|가격의 절반|땡처리|정가|균일가|최저가|최고가|특별가|특별 공급가|할인가", 3),
    rule(
        "special-offer",
        r"특가|특판|핫딜|타임딜|\d원 ?딜|역시즌|시즌\s?오프|대축제|대잔치|기획전|대방출|페스티벌|특별\s?분양|급매",
        3,
    ),
    rule("coupon", r"쿠폰|coupon|(?-u:\b)code\s+[a-z]+\d*(?-u:\b)|기프티콘|초대권|상품권|이용권", 2),
    rule("free", r"무료|공짜|무상|(?-u:\b)0원|(?-u:\b)free(?-u:\b)|면제", 2),
    rule("one-plus-one", r"\d\s?\+\s?\d|하나 더|[한두] (개|장|잔|판|권|병) 더|하나는 덤|두 배|double|buy one|사면 \d", 3),
    rule(
        "gift",
        r"증정|사은|경품|추첨|당첨|giveaway|선물로|를 드립니다|을 드립니다|드려요|받자|받으세요|받아가|받아보세요|챙기세요|win a",
        2,
    ),
    rule("points", r"적립|캐시백|포인트|(?-u:\b)points?(?-u:\b)|마일리지|크레딧|earn", 1),
    rule("event", r"이벤트|프로모션|promotion|행사|기념|캠페인|체험단|체험팩|박람회|설명회|페어", 2),
    rule(
        "price-tag",
        r"\d[\d,]*\s?원\s?(~|부터|에)|\d+만\s?(\d천)?원(에|부터|~)|→\s?\d|평당 ?\d|[월연]\s?(최저\s)?\d[\d,.]*\s?(원|%)|from \$|just \$|\$\d+/mo",
        2,
    ),
    rule("price-list", r"(\d(kg|g|구|팩|박스|병|세트)|접시|1회 ?\S*|\d개)\s+(\d+만\s?)?\d[\d,]*\s?원", 3),
    rule("price-at-end", r"\d\s?만?원\s*[!~]?\s*$|\d[\d,]*원!|\d[\d,]*원,? [^.]{0,12}무료배송", 1),
    // Hurry.
    rule(
        "hurry",
        r"지금\s?(바로|신청|가입|구매|결제|접속|참여|주문|상담|등록|매장)|선착순|한정|마감\s?임박|마감\s?세일|놓치|서두르|서둘러|마지막\s?(찬스|기회)|오늘만|하루만|오늘 하루|자정|단 ?(이틀|하루|\d+일)|소진\s?(시|전)|이번 (달|주|주말|분기)까지|예약 고객|다시 없|last chance|limited|don't miss|hours only|this weekend only|ends at|today's best|얼리버드|품절 대란|곧 품절",
        3,
    ),
    rule(
        "launch",
        r"체험 수업|1회 체험|출시|런칭|신메뉴|신상|신작|새 메뉴|신제품|오픈|재입고|개원|모집|new arrivals?|grand opening|now live|are live",
        2,
    ),
    rule("sell", r"판매|산지직송|예매|분양|렌탈|구독|정기배송|공동구매|예약하[고시]|패키지|회원권|정기권|프리패스|요금제", 1),
    // Calls to act.
    rule(
        "invite",
        r"신청해 보세요|만나보세요|만나요|만나 ?보|오세요|놀러|초대|시작해 보|시작하세요|도전하세요|즐기세요|장만|준비해 보|골라|구경|보러 가기|소개합니다|어떠세요|내일 도착|환영|모십니다|참여하세요|찜해|돌아오|오랜만|확인하세요!|떠나보세요|바꿔|아끼세요|줄여보|줄이세요|갈아타|상의하세요|we miss you|come back|discover|shop (now|in)|order in|switch today|start your|upgrade to|tap to|learn|visit us|join",
        2,
    ),
    rule(
        "consult",
        r"상담\s?(신청|받|만|하세요|무료|가능)|무료\s?(로\s?)?상담|무료 (방문 )?견적|견적\s?(비교|만|받)|한도\s?(무료\s)?조회|비교견적|도입 문의|예약 문의|상담 \d|apply (now|in)|pre-approved",
        3,
    ),
    rule(
        "benefit",
        r"혜택|우대|무이자|지원금|최대\s?\d|최대\s?지원|up to \d|캐시|환급반|보장!|지급,|당일 ?지급|\d+만원 (지급|지원)|평생|역대급|save \d|exclusive|premium|2? ?months? free|free trial|hot deals?|deals(?-u:\b)",
        2,
    ),
    rule(
        "for-you",
        r"고객님만을|회원님께만|누구나|단독|vip|사장님|전용|친구 ?(추천|초대|랑)|refer a friend|첫 (방문|구매|주문|달|구독|가입)|신규 (가입|회원|생|발급)",
        2,
    ),
    rule(
        "finance-lure",
        r"급등주|추천 종목|수익률 \d+%\s?(기대|보장)|적중|로또|바카라|놀이터|첫충|연 \d[\d.]*%!|계좌 개설하|가입하(세요|고)",
        3,
    ),
    rule("exclaim", r"!", 1),
    rule("link", r"https?://|링크 ?클릭|아래 링크|bit\.ly", 1),
    // Weak signs that advertisements share across trades; two or three of them together count.
    rule("any-price", r"\d[\d,]*\s?원|\d\s?[천만]\s?원|[$€£]\s?\d", 2),
    rule(
        "no-extra-cost",
        r"(가입비|위약금|약정|수수료|입관비|가맹비|배송비|배달비|연회비|교재비|설치비|출장비|계약금|보증금)\S{0,3}\s?(없|0원|무료|면제|안 받)|no (fees?|contract|commitment)|on us(?-u:\b)",
        2,
    ),
    rule(
        "scarce",
        r"임박|폭주|남은 (자리|수량|좌석|객실)|잔여|완판|매진|마감|한정|\d+(석|명|팀|개|세트) (한정|모집|남)|hurry|while stocks|selling fast|today only|tonight only",
        2,
    ),
    rule(
        "trade",
        r"창업|가맹|매입|레슨|개강|수강|코스|시술|성형|교정|클리닉|마사지|다이어트|인테리어|리모델링|이사|청소|투자|절세|재테크|상조|보험|대출|분양|시승|체험|견적|팝업|매장|모음전|컬렉션|라인업|세트|무제한|서비스|제철|햇|농원|농장|직송|수제|맞춤|스튜디오|필라테스|요가|헬스|학원|과외|여행|투어|숙소|펜션|카페|맛집|식당|뷔페|런치|브런치|피부|두피|네일|가구|침대|의류|니트|코트|신발|가방|화장품|향수|영양제|선물|병원|한의원|치과",
        1,
    ),
    rule(
        "solicit",
        r"(하|보|오|타|가|쓰|사|으|시작하|찾으|참지 마|드|나누|누리|느끼|맡기|찾)세요|보실래요|실래요|드셔|어떨까요|아닌가요|인가요\?|(신청|가입|예약|참여|구매|보러)\s?(가기|하기)|주문받|모십니다|도와드|찾아드|해 ?드립니다|드려요|문의\s?(주|환영|바)|보내드려요|있어요|기다립니다|기다려요|끝!|고민|걱정|만나",
        1,
    ),
    rule(
        "lure",
        r"(합리적|착한|놀라운|부담 없는|위한|파격|믿을 수 없는) 가격|가성비|나눔가|균일가|첫 회비|추가로? (증정|제공)|회 추가|save (big|up|\d)|(?-u:\b)promo(?-u:\b)|half the price|best price|book (now|your|early)|get your|treat yourself|new collection|이제 그만|한 통이면|놓치지|지금이 (기회|딱)",
        2,
    ),
    rule(
        "praise",
        r"새단장|문을 (엽니다|열었)|써 ?보고|어떠신가요|만들어 드립니다|한 (올|땀) |시대\.|stop by|say hi|fresh(?-u:\b).* (morning|daily)|증명합니다|입소문|추천해요|추천합니다|추천드|새로워|누리는|누리세요|즐겨|한 번에|후기\s?\d|가능!|가능합니다|특별한|완벽한|최고의|인기(?:\W|$)|베스트|바꾸세요|바꿔 ?보|느껴|배달합니다|빌려|대여|받아요!|빼 ?드|깎아|가능한 가격|our new|come (taste|see|try|visit)|meet the|schedule your|left for|introducing|is here|test drive|perfect for|try (it|our)|just for you",
        2,
    ),
    rule("percent", r"\d\s?(%|퍼센트|프로(?:\W|$)|percent)", 2),
    rule(
        "finance-offer",
        r"대환|무직자|당일 승인|전화만|실비 청구 가능|야간 진료|부업|월 \S*만\s?원 가능|수익|투자|재테크|절세",
        2,
    ),
    // Information: security.
    rule("verification", r"인증번호|본인확인|verification code|비밀번호|password|로그인되|타인에게|보이스피싱", -6),
    // Information: goods on their way, bookings, payments.
    rule(
        "delivery",
        r"운송장|배송(될|이|지 주소| 완료| 예정| 관련|을 시작)|출고되|발송(되|했|될|이)|회수되|입고되었|택배|has shipped|will arrive|delivered",
        -4,
    ),
    rule(
        "booking",
        r"예약\s?(이|확인|번호|시간|하신)|예매(가|되었|번호| 확인)|체크인|탑승구|승차권|대기 순서|appointment|your table|flight|reserved",
        -4,
    ),
    rule(
        "payment",
        r"승인\s?(번호|\d|USD|완료|되|취소)|출금|인출|회비|원비|송금|계좌(로|를|가) |입금|잔액|결제(금액|내역|가 완료|될|됩니다)|납부|납입|청구(서|됩|되|하신|금액|될|\W|$)|고지서|결제에 실패|빠져나|명세서|세금계산서|payment of|was charged|received|renews",
        -4,
    ),
    rule("refund", r"환불(이|금|됩니다|되|됩| 처리)|전액 (환불|취소)|취소(되었|가 완료|됩니다)|복원|재발급|refund of", -5),
    rule(
        "order",
        r"주문(번호|하신|이 접수|이 취소| 취소가)|구매하신|구매확정|사용하신|신청하신|문의하신|응모하신|your order",
        -4,
    ),
    // Information: states and deadlines.
    rule(
        "done",
        r"(완료|변경|발급|접수|승인|지급|처리|확정|결정|제한|종료|중단|해지|수정|배정|복구|체결|정지|연기|취소|지연)(되었|됐|됩니다|되었습니다)|완료[.]?$|(배송|설치|개통|접수|등록|납부|결제|예약) ?완료|접수 ?완료|되고 있습니다",
        -4,
    ),
    rule("expiry", r"소멸|만료|만기|유효기간|기한|기간(이|은)|종료됩니다|끝나고|끝납니다|남았습니다|will expire|전환됩니다", -4),
    rule(
        "plan",
        r"요금이 \S+ ?\S+ 인상|사용량|제공량|data usage|약관|개정|개인정보|수신 ?동의|수신거부 처리|법령|정보통신망법",
        -5,
    ),
    rule(
        "tariff-change",
        r"(인상|인하|조정|변동)(됩니다|되었|된|합니다|$|\W|$)|오릅니다|(금리|요금|수수료).{0,25}내려갑니다|적용(되|됩)|\S이 멈춥|\S가 멈춥|이체|도달했|미납|통행료|검침|공과금",
        -4,
    ),
    rule("report", r"(되|됐|했|었|았|였|렸|졌|쳤|혔|왔|났)(습니다|음(?:\W|$)|어요\.)|알림[:\]]|공지|공고|통지", -3),
    rule(
        "english-notice",
        r"below \$|balance(?-u:\b)|arriving|prescription|conference|one-time|(?-u:\b)expires?(?-u:\b)|results are|your return|package left|front door|has been|have been|was changed|is ready|confirmed|ticket|meeting|please bring|rescheduled|cancelled|canceled",
        -4,
    ),
    rule("maintenance", r"점검|공사|단수|정전|장애|휴장|휴강|운행 ?(이|중)|maintenance|unavailable|리콜|결함", -4),
    // Information: offices, health, school, safety, work.
    rule(
        "office",
        r"보건소|구청|시청|민원|복지로|지방세|과태료|대상자|대상입니다|수급|투표소|훈련|국민건강|행정안전부|경찰서|관리비|입주자|관리사무소",
        -4,
    ),
    rule("health", r"진료 예약|진료비|소아과|내과|내원|복용|금식|접종|검진 결과|검사 결과|수술|처방|약국|[^한]의원(?:\W|$)", -3),
    rule("school", r"학부모|가정통신문|등원|하교|현장체험|급식|보강|중간고사|기말고사|학과|등록금|수강신청|장학금|도시락과", -4),
    rule("safety", r"경보|주의보|태풍|폭설|안전에 유의|실종|heavy snow", -5),
    rule(
        "work-or-private",
        r"회의|면접|서류전형|연차|빈소|결혼식|급여|과장님|대리님|팀장님|선생님|(내일|오늘|이번) 모임|당직|서명|계약서|견적서|보고서|회의록|의견 |단톡",
        -4,
    ),
    rule(
        "family-or-friend",
        r"엄마|아빠|아버지|어머니|할머니|할아버지|언니|오빠|누나|살게|할게|갈게|올게|했어(?:\W|$)|했니|먹어(?:\W|$)|이야\.|(?:^|\W)(나|내가) ",
        -4,
    ),
    rule(
        "schedule",
        r"날짜는|일정은|시간은|\d+월 ?\d+일\S{0,3} \(?\S{0,4}\s?\d{1,2}(시|:\d\d)|\d{1,2}시(입니다|에 (출발|시작|방문))|\d{1,2}:\d\d(?-u:\b)|\d회차|\d호(실|기|로|\W|$)",
        -2,
    ),
    rule(
        "instruction",
        r"(확인|방문|제출|입력|참고|대기|이동|입실|회신|연락|보내|비워|챙겨|내|닫아|빼|와|가져와|대피|서명)(해|하여)?\s?(주세요|주십|주시|바랍|바라)|가지고 오|지우고 오|빼고 오|(메일|문자|우편|팩스)(로|을) (보냈|남|발송)|삼가",
        -3,
    ),
    rule("please-note", r"양해|죄송|연락드(리|립)|회신|부탁드립니다|지참해 (주|오)|알려드립니다|방문 ?(예정|일)|당첨자", -3),
    rule("notice", r"안내[:.]|안내입니다|안내$|예정입니다|reminder", -2),
];

const fn rule(name: &'static str, pattern: &'static str, weight: i32) -> Rule {
    Rule { name, pattern, weight }
}
