//! The weighted rules by which a text is taken for an advertisement, as versioned data.
//!
//! Each rule is a name, a pattern and a weight; a rule that matches anywhere adds its weight
//! once, however often it matches. Positive weights speak for an advertisement, negative ones
//! for information: a transaction, a deadline, an office, a safety notice. The sum is compared
//! with the threshold of the set.
//!
//! Weights are on a small scale: 1 = a hint, 2 = usual in advertisements, 3 = enough alone.
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
pub const CURRENT: &RuleSet = &RuleSet {
    version: 1,
    threshold: 3,
    rules: RULES_V1,
};

const RULES_V1: &[Rule] = &[
    // What an advertisement says of itself.
    rule("marked", r"^\s*[(\[<]광고[)\]>]", 6),
    rule("opt-out", r"무료\s*(수신\s*)?거부|수신거부\s*:?\s*080", 4),
    // Lower prices.
    rule("discount", r"할\s?인|세일|\d+\s?%\s*(싸|저렴|인하|off|↓)|저렴|\bsale\b|discount|clearance|\boff\b", 3),
    rule("half-price", r"반값|절반\s?(가격|값)|가격의 절반|땡처리|정가|균일가|최저가|최고가|특별가|특별 ?공급가|할인가", 3),
    rule("special-offer", r"특가|특판|핫딜|타임딜|\d원 ?딜|역시즌|시즌\s?오프|대축제|대잔치|기획전|대방출|페스티벌|특별\s?분양|급매", 3),
    rule("coupon", r"쿠폰|coupon|\bcode\s+[a-z]+\d*\b|기프티콘|초대권|상품권|이용권", 2),
    rule("free", r"무료|공짜|무상|\b0원|\bfree\b|면제", 2),
    rule("one-plus-one", r"\d\s?\+\s?\d|하나 더|한 개 더|하나는 덤|한 컷 더|두 배|double|buy one|사면 \d", 3),
    rule("gift", r"증정|사은|경품|추첨|당첨|giveaway|선물로|드려요|드립니다|받자|받으세요|받아가|받아보세요|챙기세요|win a", 2),
    rule("points", r"적립|캐시백|포인트|\bpoints?\b|마일리지|크레딧|earn", 1),
    rule("event", r"이벤트|프로모션|promotion|행사|기념|캠페인|체험단|체험팩|박람회|설명회|페어", 2),
    rule("price-tag", r"\d[\d,]*\s?원\s?(~|부터|에)|\d+만\s?(\d천)?원(에|부터|~)|→\s?\d|평당|[월연]\s?(최저\s)?\d[\d,.]*\s?(원|%)|from \$|just \$|\$\d+/mo", 2),
    rule("price-at-end", r"\d\s?만?원\s*[!~]?\s*$|\d[\d,]*원!|\d[\d,]*원,? [^.]{0,12}무료배송", 1),
    // Hurry.
    rule("hurry", r"지금\s?(바로|신청|가입|구매|결제|접속|참여|주문|상담|등록|매장)|선착순|한정|마감\s?임박|마감\s?세일|놓치|서두르|서둘러|마지막\s?(찬스|기회)|오늘만|하루만|오늘 하루|자정|단 ?(이틀|하루|\d+일)|소진\s?(시|전)|다시 없|last chance|limited|don't miss|hours only|this weekend only|ends at|today's best|얼리버드|품절 대란|곧 품절", 3),
    rule("launch", r"출시|런칭|신메뉴|신상|신작|새 메뉴|신제품|오픈|재입고|개원|모집|new arrivals?|grand opening|now live|are live", 2),
    rule("sell", r"판매|산지직송|예매|분양|렌탈|구독|정기배송|공동구매|예약하[고시]|패키지|회원권|정기권|프리패스|요금제", 1),
    // Calls to act.
    rule("invite", r"만나보세요|만나요|만나 ?보|오세요|놀러|초대|시작해 보|시작하세요|도전하세요|즐기세요|장만|준비해 보|골라|구경|보러 가기|소개합니다|어떠세요|도착해요|환영|모십니다|참여하세요|찜해|돌아오|오랜만|확인하세요!|떠나보세요|바꿔|아끼세요|줄여보|줄이세요|갈아타|상의하세요|we miss you|come back|discover|shop (now|in)|order in|switch today|start your|upgrade to|tap to|learn|visit us|join", 2),
    rule("consult", r"상담\s?(신청|받|만|하세요|무료|가능)|무료\s?(로\s?)?상담|무료 (방문 )?견적|견적\s?(비교|만|받)|한도\s?(무료\s)?조회|비교견적|도입 문의|예약 문의|상담 \d|apply (now|in)|pre-approved", 3),
    rule("benefit", r"혜택|우대|무이자|지원금|최대\s?\d|최대\s?지원|up to \d|캐시|환급반|보장!|지급,|당일 ?지급|\d+만원 (지급|지원)|평생|역대급|save \d|exclusive|premium|2? ?months? free|free trial|hot deals?|deals\b", 2),
    rule("for-you", r"고객님만을|회원님께만|누구나|단독|vip|사장님|전용|친구 ?(추천|초대|랑)|refer a friend|첫 (방문|구매|주문|달|구독|가입)|신규 (가입|회원|생|발급)", 2),
    rule("finance-lure", r"급등주|추천 종목|수익률 \d+%\s?(기대|보장)|적중|로또|바카라|놀이터|첫충|연 \d[\d.]*%!|계좌 개설하|가입하(세요|고)", 3),
    rule("exclaim", r"!", 1),
    rule("link", r"https?://|링크 ?클릭|아래 링크|bit\.ly", 1),
    // Information: security.
    rule("verification", r"인증번호|본인확인|verification code|비밀번호|password|로그인되|타인에게|보이스피싱", -6),
    // Information: goods on their way, bookings, payments.
    rule("delivery", r"운송장|배송(될|이|지 주소| 완료| 예정| 관련|을 시작)|출고되|발송(되|했|될|이)|회수되|입고되었|택배|has shipped|will arrive|delivered", -4),
    rule("booking", r"예약\s?(이|확인|번호|시간|하신)|예매(가|되었|번호| 확인)|체크인|탑승구|승차권|대기 순서|appointment|your table|flight|reserved", -4),
    rule("payment", r"승인|출금|입금|잔액|결제(금액|내역|가 완료|될|됩니다)|납부|납입|청구|고지서|명세서|세금계산서|payment of|was charged|received|renews", -4),
    rule("refund", r"환불(이|금|됩니다|되|됩| 처리)|전액 (환불|취소)|취소(되었|가 완료|됩니다)|복원|재발급|refund of", -5),
    rule("order", r"주문(번호|하신|이 접수|이 취소| 취소가)|구매하신|구매확정|사용하신|신청하신|문의하신|응모하신|your order", -4),
    // Information: states and deadlines.
    rule("done", r"(완료|변경|발급|접수|승인|지급|처리|확정|결정|제한|종료|중단|해지|수정|배정|복구|체결|정지|연기|취소|지연)(되었|됐|됩니다|되었습니다)|완료\b|접수 ?완료|되고 있습니다", -4),
    rule("expiry", r"소멸|만료|만기|유효기간|기한|기간(이|은)|종료됩니다|끝나고|끝납니다|남았습니다|will expire|전환됩니다", -4),
    rule("plan", r"요금이 \S+ ?\S+ 인상|사용량|제공량|data usage|약관|개정|개인정보|수신 ?동의|수신거부 처리|법령|정보통신망법", -5),
    rule("maintenance", r"점검|공사|단수|정전|장애|휴장|휴강|운행 ?(이|중)|maintenance|unavailable|리콜|결함", -4),
    // Information: offices, health, school, safety, work.
    rule("office", r"보건소|구청|시청|민원|복지로|지방세|과태료|대상자|대상입니다|수급|투표소|훈련|국민건강|행정안전부|경찰서|관리비|입주자|관리사무소", -4),
    rule("health", r"진료|내원|복용|금식|접종|검진 결과|검사 결과|수술|처방|약국|의원\b", -3),
    rule("school", r"학부모|가정통신문|등원|하교|현장체험|급식|보강|중간고사|기말고사|학과|등록금|수강신청|장학금|도시락과", -4),
    rule("safety", r"경보|주의보|태풍|폭설|안전에 유의|실종|heavy snow", -5),
    rule("work-or-private", r"회의|면접|서류전형|연차|빈소|결혼식|급여|엄마|아버지|과장님|모임", -4),
    rule("please-note", r"양해|죄송|연락드(리|립)|회신|부탁드립니다|지참|알려드립니다|방문 ?(예정|일)|당첨자", -3),
    rule("notice", r"안내[:.]|안내입니다|안내$|예정입니다|reminder", -2),
];

const fn rule(name: &'static str, pattern: &'static str, weight: i32) -> Rule {
    Rule {
        name,
        pattern,
        weight,
    }
}
